-- Deletes what stands in PGMQ's queues and names no step: no taking statement could ever read it.
WITH dispatches AS (
    DELETE FROM pgmq.q_stepmark_dispatch
    WHERE coalesce(message ->> 'step_id', '') !~ '^[0-9]{1,18}$' RETURNING msg_id
), completions AS (
    DELETE FROM pgmq.q_stepmark_completions
    WHERE coalesce(message ->> 'step_id', '') !~ '^[0-9]{1,18}$' RETURNING msg_id
)
SELECT (SELECT count(*) FROM dispatches) + (SELECT count(*) FROM completions)

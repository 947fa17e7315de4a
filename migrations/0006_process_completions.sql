-- What a finished or failed step means for its task: the dependency graph is evaluated, ready
-- children are enqueued, the task moves on or ends. For any number of completion messages at once.

-- The task's side of one evaluation: counters, state and audit. Called with the tasks locked; the
-- arrays run in parallel, one element a task. Returns the tasks that have come to an end.
--   StepsInProcess → EvaluatingResults → EnqueuingSteps → StepsInProcess  something was enqueued
--                                      → StepsInProcess                   others still run
--                                      → WaitingForRetry                  only retries are left
--                                      → Complete | Error                 nothing is left to run
CREATE FUNCTION move_tasks(
    p_task_ids bigint[], p_enqueued integer[], p_finished integer[], p_completed integer[],
    p_waiting integer[], p_failed integer[]
) RETURNS uuid[] LANGUAGE plpgsql AS $$
DECLARE
    ended uuid[];
BEGIN
    WITH tally AS (
        SELECT * FROM unnest(p_task_ids, p_enqueued, p_finished, p_completed, p_waiting, p_failed)
            AS t (task_id, enqueued, finished, completed, waiting, failed)
    ), counted AS (
        SELECT t.task_id, y.enqueued, t.transition_count, t.state AS from_state,
            t.steps_active + y.enqueued - y.finished AS active,
            t.steps_waiting + y.waiting AS waiting,
            t.steps_failed + y.failed AS failed,
            t.steps_unfinished - y.completed - y.failed AS unfinished
        FROM tally y JOIN tasks t USING (task_id)
        WHERE t.state = 'StepsInProcess'
    ), decided AS (
        SELECT c.*, CASE
            WHEN c.active > 0 THEN 'StepsInProcess'
            WHEN c.waiting > 0 THEN 'WaitingForRetry'
            WHEN c.unfinished = 0 AND c.failed = 0 THEN 'Complete'
            ELSE 'Error' END::task_state AS to_state
        FROM counted c
    ), moved AS (
        UPDATE tasks t
        SET state = d.to_state, steps_active = d.active, steps_waiting = d.waiting,
            steps_failed = d.failed, steps_unfinished = d.unfinished,
            transition_count = d.transition_count + CASE WHEN d.enqueued > 0 THEN 3 ELSE 2 END,
            finished_at = CASE WHEN d.to_state IN ('Complete', 'Error') THEN now() END
        FROM decided d
        WHERE t.task_id = d.task_id AND t.state = d.from_state
        RETURNING t.task_id, t.task_uuid, t.state, t.finished_at, d.transition_count, d.enqueued
    ), audit AS (
        INSERT INTO task_transitions (task_id, sort_key, from_state, to_state)
        SELECT m.task_id, m.transition_count + a.nr, a.from_state, a.to_state
        FROM moved m, LATERAL (
            VALUES (1, 'StepsInProcess'::task_state, 'EvaluatingResults'::task_state),
                (2, 'EvaluatingResults',
                    CASE WHEN m.enqueued > 0 THEN 'EnqueuingSteps' ELSE m.state END),
                (3, 'EnqueuingSteps', m.state)
        ) AS a (nr, from_state, to_state)
        WHERE a.nr < 3 OR m.enqueued > 0
    )
    SELECT array_agg(task_uuid) INTO ended FROM moved WHERE finished_at IS NOT NULL;
    RETURN ended;
END $$;

-- Tells whoever waits for one of these tasks, on any orchestrator. The payload is a list of ids,
-- 100 at most (a NOTIFY carries 8,000 bytes).
CREATE FUNCTION notify_finished(p_task_uuids uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('stepmark_finished', string_agg(f.task_uuid::text, ','))
    FROM unnest(p_task_uuids) WITH ORDINALITY AS f (task_uuid, nr)
    GROUP BY (f.nr - 1) / 100;
END $$;

-- steps_evaluated: completed steps whose dependants were evaluated. next_retry_ms: time until the
-- first of the retries that began to wait here. The commit is durable when a task ended or (RabbitMQ)
-- messages are to be published on it; otherwise it may be asynchronous: what a crash takes back,
-- the completion message brings again, because taking it is taken back too.
CREATE FUNCTION process_completions(
    p_broker message_broker, p_task_ids bigint[], p_step_nos integer[],
    OUT steps_processed integer, OUT steps_evaluated integer, OUT tasks_finished uuid[],
    OUT next_retry_ms bigint, OUT outgoing outgoing_messages
) LANGUAGE plpgsql AS $$
DECLARE
    tally record;
    namespaces text[];
BEGIN
    -- The lock comes first and in a statement of its own: the next one's snapshot is then younger
    -- than the lock, and sees what the last holder did. In one statement, two orchestrators that
    -- complete two parents at the same moment would leave the child Pending for ever.
    PERFORM 1 FROM tasks t WHERE t.task_id = ANY (p_task_ids)
    ORDER BY t.task_id FOR NO KEY UPDATE;

    WITH locked AS MATERIALIZED (
        SELECT s.task_id, s.step_no
        FROM unnest(p_task_ids, p_step_nos) AS m (task_id, step_no)
        JOIN workflow_steps s USING (task_id, step_no)
        WHERE s.state = 'EnqueuedForOrchestration'
        ORDER BY s.task_id, s.step_no
        FOR UPDATE OF s
    ), finished AS (
        UPDATE workflow_steps s
        SET state = CASE
                WHEN s.outcome = 'Complete' THEN 'Complete'
                WHEN s.outcome = 'Retry' AND s.attempts < s.max_attempts THEN 'WaitingForRetry'
                ELSE 'Error' END::step_state,
            retry_at = CASE WHEN s.outcome = 'Retry' AND s.attempts < s.max_attempts
                THEN now() + s.retry_after_ms * interval '1 ms' END,
            claim_token = NULL, transition_count = s.transition_count + 1
        FROM locked l
        WHERE s.task_id = l.task_id AND s.step_no = l.step_no
            AND s.state = 'EnqueuedForOrchestration'
        RETURNING s.task_id, s.step_no, s.state, s.transition_count, s.attempts, s.children,
            s.retry_after_ms
    ), child AS (
        SELECT f.task_id, e.step_no, count(*) AS parents_completed
        FROM finished f, unnest(f.children) AS e (step_no)
        WHERE f.state = 'Complete'
        GROUP BY f.task_id, e.step_no
    ), evaluated AS (
        UPDATE workflow_steps s
        SET parents_remaining = s.parents_remaining - c.parents_completed,
            state = CASE WHEN s.parents_remaining = c.parents_completed
                THEN 'Enqueued' ELSE s.state END,
            transition_count = s.transition_count
                + CASE WHEN s.parents_remaining = c.parents_completed THEN 1 ELSE 0 END
        FROM child c
        WHERE s.task_id = c.task_id AND s.step_no = c.step_no AND s.state = 'Pending'
        RETURNING s.task_id, s.step_no, s.state, s.transition_count
    ), audit AS (
        INSERT INTO workflow_step_transitions
            (task_id, step_no, sort_key, from_state, to_state, attempt)
        SELECT task_id, step_no, transition_count, 'EnqueuedForOrchestration'::step_state, state,
            attempts
        FROM finished
        UNION ALL
        SELECT task_id, step_no, transition_count, 'Pending'::step_state, state, 0
        FROM evaluated WHERE state = 'Enqueued'
    ), change AS (
        SELECT task_id, state, retry_after_ms FROM finished
        UNION ALL
        SELECT task_id, state, NULL FROM evaluated WHERE state = 'Enqueued'
    ), per_task AS (
        SELECT task_id,
            count(*) FILTER (WHERE state = 'Enqueued') AS enqueued,
            count(*) FILTER (WHERE state <> 'Enqueued') AS finished,
            count(*) FILTER (WHERE state = 'Complete') AS completed,
            count(*) FILTER (WHERE state = 'WaitingForRetry') AS waiting,
            count(*) FILTER (WHERE state = 'Error') AS failed,
            min(retry_after_ms) FILTER (WHERE state = 'WaitingForRetry') AS waiting_ms
        FROM change GROUP BY task_id
    )
    SELECT array_agg(task_id) AS task_ids, array_agg(enqueued::integer) AS enqueued,
        array_agg(finished::integer) AS finished, array_agg(completed::integer) AS completed,
        array_agg(waiting::integer) AS waiting, array_agg(failed::integer) AS failed,
        sum(finished)::integer AS processed, sum(completed)::integer AS evaluated,
        min(waiting_ms) AS waiting_ms,
        (SELECT array_agg(task_id ORDER BY task_id, step_no)
            FROM evaluated WHERE state = 'Enqueued') AS enqueued_task_ids,
        (SELECT array_agg(step_no ORDER BY task_id, step_no)
            FROM evaluated WHERE state = 'Enqueued') AS enqueued_step_nos
    INTO tally FROM per_task;

    steps_processed := coalesce(tally.processed, 0);
    steps_evaluated := coalesce(tally.evaluated, 0);
    next_retry_ms := tally.waiting_ms;
    IF steps_processed = 0 THEN
        RETURN;
    END IF;
    tasks_finished := move_tasks(tally.task_ids, tally.enqueued, tally.finished, tally.completed,
        tally.waiting, tally.failed);
    IF tally.enqueued_task_ids IS NOT NULL THEN
        SELECT array_agg(t.namespace ORDER BY e.nr) INTO namespaces
        FROM unnest(tally.enqueued_task_ids) WITH ORDINALITY AS e (task_id, nr)
        JOIN tasks t USING (task_id);
        outgoing := send_dispatches(p_broker, tally.enqueued_task_ids, tally.enqueued_step_nos,
            namespaces);
    END IF;
    IF tasks_finished IS NOT NULL THEN
        PERFORM notify_finished(tasks_finished);
    ELSIF p_broker = 'pgmq' THEN
        SET LOCAL synchronous_commit = off;
    END IF;
END $$;

-- PGMQ: takes up to p_max completion messages and processes them; see take_and_claim_steps.
-- queue_empty: no message was left; what comes later calls by NOTIFY.
CREATE FUNCTION take_and_process_completions(
    p_max integer,
    OUT queue_empty boolean, OUT steps_processed integer, OUT steps_evaluated integer,
    OUT tasks_finished uuid[], OUT next_retry_ms bigint, OUT outgoing outgoing_messages
) LANGUAGE plpgsql AS $$
DECLARE
    task_ids bigint[];
    step_nos integer[];
    done record;
BEGIN
    WITH taken AS (
        DELETE FROM pgmq.q_stepmark_completions q USING (
            SELECT c.msg_id FROM pgmq.q_stepmark_completions c
            WHERE c.vt <= clock_timestamp()
            ORDER BY c.msg_id LIMIT p_max
            FOR UPDATE SKIP LOCKED
        ) AS picked
        WHERE q.msg_id = picked.msg_id
        RETURNING q.message
    )
    SELECT array_agg((message ->> 'task_id')::bigint), array_agg((message ->> 'step_no')::integer)
    INTO task_ids, step_nos FROM taken;
    queue_empty := task_ids IS NULL OR cardinality(task_ids) < p_max;
    steps_processed := 0;
    steps_evaluated := 0;
    IF task_ids IS NOT NULL THEN
        SELECT * INTO done FROM process_completions('pgmq', task_ids, step_nos);
        steps_processed := done.steps_processed;
        steps_evaluated := done.steps_evaluated;
        tasks_finished := done.tasks_finished;
        next_retry_ms := done.next_retry_ms;
    END IF;
END $$;

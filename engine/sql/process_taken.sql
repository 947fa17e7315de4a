-- PGMQ: takes up to $1 completion messages and processes them.
SELECT queue_empty, steps_processed, steps_evaluated, tasks_finished, next_retry_ms, traced,
    (outgoing).message_ids, (outgoing).queues, (outgoing).priorities,
    (outgoing).bodies
FROM process_completions('pgmq', $1, NULL)

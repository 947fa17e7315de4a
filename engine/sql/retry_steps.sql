-- Due retries of up to $2 tasks.
SELECT steps_retried, next_due_ms,
    (outgoing).message_ids, (outgoing).queues, (outgoing).priorities, (outgoing).bodies
FROM retry_steps($1::message_broker, $2)

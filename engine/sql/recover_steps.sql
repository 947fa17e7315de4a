-- Due retries and expired leases of up to $3 tasks; $2 is the limit of a step's expired leases.
SELECT steps_retried, leases_expired, steps_failed, tasks_finished, again, next_due_ms,
    (outgoing).message_ids, (outgoing).queues, (outgoing).bodies
FROM recover_steps($1::message_broker, $2, $3)

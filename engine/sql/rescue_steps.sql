-- Expired leases and attempts that take too long, of up to $3 tasks; $2 is the limit of a step's
-- expired leases.
SELECT leases_expired, steps_failed, steps_timed_out, tasks_finished, again, next_due_ms,
    (outgoing).message_ids, (outgoing).queues, (outgoing).priorities, (outgoing).bodies
FROM rescue_steps($1::message_broker, $2, $3)

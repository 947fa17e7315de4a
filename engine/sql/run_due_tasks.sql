-- Delayed starts and deadlines of up to $2 tasks.
SELECT tasks_started, tasks_finished, is_resuming, next_due_ms,
    (outgoing).message_ids, (outgoing).queues, (outgoing).priorities, (outgoing).bodies
FROM run_due_tasks($1::message_broker, $2)

-- Redrives a task; see redrive_task.
SELECT redriven, (outgoing).message_ids, (outgoing).queues, (outgoing).priorities, (outgoing).bodies
FROM redrive_task($1::message_broker, $2)

-- The state of a task.
SELECT state::text FROM tasks WHERE task_uuid = $1

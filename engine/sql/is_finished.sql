-- Whether a task has come to its end; no row when there is no such task.
SELECT finished_at IS NOT NULL FROM tasks WHERE task_uuid = $1

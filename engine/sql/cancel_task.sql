-- Cancels task $1, for reason $2; whether it was this that ended it.
SELECT cancel_tasks(ARRAY(SELECT task_id FROM tasks WHERE task_uuid = $1), $2) IS NOT NULL

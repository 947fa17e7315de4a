-- The document of a task; NULL when there is no such task.
SELECT read_task($1)::text

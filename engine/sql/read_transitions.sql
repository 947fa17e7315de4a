-- The audit of a task; NULL when there is no such task.
SELECT read_transitions($1)::text

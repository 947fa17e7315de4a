-- Unfinished tasks, counted up to $1.
SELECT count(*) FROM (SELECT FROM tasks WHERE finished_at IS NULL LIMIT $1) AS t

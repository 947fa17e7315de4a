-- Deletes tasks in states $2 that ended more than $1 ms ago, among the $4 after $3.
SELECT pruned, last_task_id
FROM prune_tasks(now() - $1 * interval '1 ms', $2::text[]::task_state[], $3, $4)

-- Deletes tasks in states $2 that ended more than $1 ms ago, among the $4 after $3. No task is as
-- old as the longest time that can be taken from now.
SELECT pruned, last_task_id
FROM prune_tasks(now() - least($1, 100000000000000) * interval '1 ms',
    $2::text[]::task_state[], $3, $4)

-- Whether a table of PGMQ's queues holds more than $1 dead rows.
SELECT coalesce(max(n_dead_tup) > $1, false) FROM pg_stat_user_tables
WHERE schemaname = 'pgmq' AND relname IN ('q_stepmark_dispatch', 'q_stepmark_completions')

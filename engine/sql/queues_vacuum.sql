-- Clears the dead rows of PGMQ's queues. Not waiting for a vacuum that is under way, and without
-- the truncation that would lock the tables.
VACUUM (SKIP_LOCKED, TRUNCATE off) pgmq.q_stepmark_dispatch, pgmq.q_stepmark_completions

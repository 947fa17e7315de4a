-- Flushes the log past all that has been committed before: a record of its own, committed durably.
WITH written AS (SELECT pg_logical_emit_message(true, 'stepmark', ''))
SELECT set_config('synchronous_commit', 'on', true) FROM written

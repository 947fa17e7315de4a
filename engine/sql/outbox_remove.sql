-- Removes messages that the broker has confirmed. A crash that takes this back sends them twice.
WITH removed AS (DELETE FROM message_outbox WHERE message_id = ANY ($1))
SELECT set_config('synchronous_commit', 'off', true)

-- Marks messages that did not reach the broker, so that they are due at once.
UPDATE message_outbox SET sent_at = '-infinity' WHERE message_id = ANY ($1)

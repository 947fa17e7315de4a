-- Writes the messages of every step that waits for one in queue $1, which the broker has lost.
SELECT write_lost_messages($1)

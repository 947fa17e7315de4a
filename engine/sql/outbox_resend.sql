-- Messages to send again: marked unsent, or unconfirmed for $1 ms; at most $2.
SELECT (outgoing).message_ids, (outgoing).queues, (outgoing).priorities,
    (outgoing).bodies
FROM resend_outbox($1, $2) AS outgoing

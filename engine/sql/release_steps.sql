-- Gives claimed steps back, uncounted; see release_steps.
SELECT released, (outgoing).message_ids, (outgoing).queues, (outgoing).priorities,
    (outgoing).bodies
FROM release_steps($1::message_broker, $2, $3)

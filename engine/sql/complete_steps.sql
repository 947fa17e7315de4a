-- Stores outcomes; see complete_steps. $1 is the broker, the other arrays have an element a step.
SELECT accepted, durable, (outgoing).message_ids, (outgoing).queues, (outgoing).priorities,
    (outgoing).bodies
FROM complete_steps($1::message_broker, $2, $3, $4, $5, $6, $7, $8)

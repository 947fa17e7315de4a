-- Creates tasks; see create_tasks. $1 is the broker, the other arrays have an element a request.
SELECT task_uuids, states, created, same_request,
    (outgoing).message_ids, (outgoing).queues, (outgoing).priorities,
    (outgoing).bodies
FROM create_tasks($1::message_broker, $2, $3, $4, $5, $6, $7, $8, $9, $10)

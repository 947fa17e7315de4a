-- RabbitMQ: claims the steps of delivered messages (task ids $1, step numbers $2) for worker $3,
-- for a lease of $4 ms.
SELECT * FROM claim_steps(NULL, NULL, $1, $2, $3, $4)

-- RabbitMQ: claims the steps of delivered messages $1 for worker $2, for a lease of $3 ms.
SELECT * FROM claim_steps(NULL, NULL, $1, $2, $3)

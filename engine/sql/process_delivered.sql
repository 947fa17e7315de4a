-- RabbitMQ: processes the completions of delivered messages $1. What else has been
-- delivered ends the next wait at once.
SELECT queue_empty, steps_processed, steps_evaluated, tasks_finished, next_retry_ms, traced,
    (outgoing).message_ids, (outgoing).queues, (outgoing).priorities,
    (outgoing).bodies
FROM process_completions('rabbitmq', NULL, $1)

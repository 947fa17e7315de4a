-- RabbitMQ: processes the completions of delivered messages (task ids $1, step numbers $2).
SELECT steps_processed, steps_evaluated, tasks_finished, next_retry_ms,
    (outgoing).message_ids, (outgoing).queues, (outgoing).bodies
FROM process_completions('rabbitmq', $1, $2)

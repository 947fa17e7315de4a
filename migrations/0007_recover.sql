-- What time brings about: retries that are due, leases that have expired, messages that a broker
-- has not confirmed. Every orchestrator calls these; the locks decide who acts.

-- WaitingForRetry → Enqueued for retries that are due, and InProgress → Enqueued (the lease has
-- expired; the attempt is given back) or → Error (it has expired too often). For up to p_max
-- unfinished tasks at once. again: more is to be done now; next_due_ms: until the next retry.
CREATE FUNCTION recover_steps(
    p_broker message_broker, p_lease_expiries_max integer, p_max integer,
    OUT steps_retried integer, OUT leases_expired integer, OUT steps_failed integer,
    OUT tasks_finished uuid[], OUT again boolean, OUT next_due_ms bigint,
    OUT outgoing outgoing_messages
) LANGUAGE plpgsql AS $$
DECLARE
    due_task_ids bigint[];
    tally record;
BEGIN
    steps_retried := 0;
    leases_expired := 0;
    steps_failed := 0;
    again := false;
    SELECT array_agg(d.task_id) INTO due_task_ids FROM (
        SELECT t.task_id FROM tasks t
        WHERE t.finished_at IS NULL AND EXISTS (
            SELECT FROM workflow_steps s
            WHERE s.step_id BETWEEN t.task_id << 16 AND t.task_id << 16 | 65535
                AND (s.state = 'InProgress' AND s.lease_expires_at <= now()
                    OR s.state = 'WaitingForRetry' AND s.retry_at <= now()))
        ORDER BY t.task_id LIMIT p_max
    ) AS d;

    IF due_task_ids IS NOT NULL THEN
        again := cardinality(due_task_ids) = p_max;
        PERFORM 1 FROM tasks t WHERE t.task_id = ANY (due_task_ids)
        ORDER BY t.task_id FOR NO KEY UPDATE;

        WITH locked AS MATERIALIZED (
            SELECT s.step_id, s.state AS from_state
            FROM unnest(due_task_ids) AS d (task_id) JOIN workflow_steps s
                ON s.step_id BETWEEN d.task_id << 16 AND d.task_id << 16 | 65535
            WHERE (s.state = 'InProgress' AND s.lease_expires_at <= now()
                    OR s.state = 'WaitingForRetry' AND s.retry_at <= now())
            ORDER BY s.step_id
            FOR UPDATE OF s
        ), moved AS (
            UPDATE workflow_steps s
            SET state = CASE WHEN l.from_state = 'InProgress'
                    AND s.lease_expiries + 1 >= p_lease_expiries_max
                    THEN 'Error' ELSE 'Enqueued' END::step_state,
                attempts = s.attempts - (l.from_state = 'InProgress')::integer,
                lease_expiries = s.lease_expiries + (l.from_state = 'InProgress')::integer,
                error = CASE WHEN l.from_state = 'InProgress'
                    THEN jsonb_build_object('kind', 'lease_expired', 'message', format(
                        'the lease of %s expired before an outcome was stored (expiry %s of %s)',
                        coalesce(s.claimed_by, 'a worker'), s.lease_expiries + 1,
                        p_lease_expiries_max))
                    ELSE s.error END,
                claim_token = NULL, lease_expires_at = NULL, retry_at = NULL,
                transition_count = s.transition_count + 1
            FROM locked l
            WHERE s.step_id = l.step_id AND s.state = l.from_state
            RETURNING s.step_id, s.namespace, s.state, l.from_state, s.attempts, s.transition_count
        ), audit AS (
            INSERT INTO workflow_step_transitions
                (step_id, sort_key, from_state, to_state, attempt, reason)
            SELECT step_id, transition_count, from_state, state, attempts,
                CASE from_state WHEN 'InProgress' THEN 'lease expired' ELSE 'retry due' END
            FROM moved
        )
        SELECT array_agg(step_id) FILTER (WHERE state = 'Enqueued') AS enqueued_step_ids,
            array_agg(namespace) FILTER (WHERE state = 'Enqueued') AS enqueued_namespaces,
            array_agg(step_id >> 16) FILTER (WHERE from_state = 'WaitingForRetry')
                AS retry_task_ids,
            array_agg(step_id) FILTER (WHERE state = 'Error') AS failed_step_ids
        INTO tally FROM moved;

        steps_retried := coalesce(cardinality(tally.retry_task_ids), 0);
        steps_failed := coalesce(cardinality(tally.failed_step_ids), 0);
        leases_expired := coalesce(cardinality(tally.enqueued_step_ids), 0)
            - steps_retried + steps_failed;
        PERFORM resume_tasks(tally.retry_task_ids);
        IF steps_failed > 0 THEN
            tasks_finished := move_tasks(tally.failed_step_ids,
                array_fill('Error'::step_state, ARRAY[steps_failed]));
            IF tasks_finished IS NOT NULL THEN
                PERFORM notify_finished(tasks_finished);
            END IF;
        END IF;
        IF tally.enqueued_step_ids IS NOT NULL THEN
            outgoing := send_dispatches(p_broker, tally.enqueued_step_ids,
                tally.enqueued_namespaces);
        END IF;
    END IF;

    SELECT ceil(extract(epoch FROM min(s.retry_at) - clock_timestamp()) * 1000)::bigint
    INTO next_due_ms
    FROM tasks t JOIN workflow_steps s
        ON s.step_id BETWEEN t.task_id << 16 AND t.task_id << 16 | 65535
    WHERE t.finished_at IS NULL AND t.steps_waiting > 0 AND s.state = 'WaitingForRetry';
END $$;

-- The task's side of retries that have become due; p_task_ids has one element a step.
--   WaitingForRetry → EnqueuingSteps → StepsInProcess
--   StepsInProcess → EvaluatingResults → EnqueuingSteps → StepsInProcess, when others still run
CREATE FUNCTION resume_tasks(p_task_ids bigint[]) RETURNS void LANGUAGE sql AS $$
    WITH due AS (
        SELECT u.task_id, count(*)::integer AS steps
        FROM unnest(p_task_ids) AS u (task_id) GROUP BY u.task_id
    ), before AS (
        SELECT t.task_id, t.state, t.transition_count, d.steps
        FROM due d JOIN tasks t USING (task_id)
        WHERE t.state IN ('WaitingForRetry', 'StepsInProcess')
    ), moved AS (
        UPDATE tasks t
        SET state = 'StepsInProcess', steps_active = t.steps_active + b.steps,
            steps_waiting = t.steps_waiting - b.steps,
            transition_count = t.transition_count
                + CASE b.state WHEN 'WaitingForRetry' THEN 2 ELSE 3 END
        FROM before b
        WHERE t.task_id = b.task_id AND t.state = b.state
        RETURNING t.task_id, b.state AS from_state, b.transition_count
    )
    INSERT INTO task_transitions (task_id, sort_key, from_state, to_state)
    SELECT m.task_id, m.transition_count + a.nr, a.from_state, a.to_state
    FROM moved m JOIN (
        VALUES ('WaitingForRetry'::task_state, 1, 'WaitingForRetry'::task_state,
                'EnqueuingSteps'::task_state),
            ('WaitingForRetry', 2, 'EnqueuingSteps', 'StepsInProcess'),
            ('StepsInProcess', 1, 'StepsInProcess', 'EvaluatingResults'),
            ('StepsInProcess', 2, 'EvaluatingResults', 'EnqueuingSteps'),
            ('StepsInProcess', 3, 'EnqueuingSteps', 'StepsInProcess')
    ) AS a (state, nr, from_state, to_state) ON a.state = m.from_state
$$;

-- RabbitMQ: the outbox rows to publish again, at most p_max: those marked unsent (-infinity), and
-- those not confirmed for p_age_ms. Each is marked sent, so that no other instance sends it too.
CREATE FUNCTION resend_outbox(p_age_ms bigint, p_max integer)
RETURNS outgoing_messages LANGUAGE plpgsql AS $$
DECLARE
    outgoing outgoing_messages;
BEGIN
    WITH due AS MATERIALIZED (
        SELECT o.message_id FROM message_outbox o
        WHERE o.sent_at <= clock_timestamp() - p_age_ms * interval '1 ms'
        ORDER BY o.message_id LIMIT p_max
        FOR UPDATE SKIP LOCKED
    ), marked AS (
        UPDATE message_outbox o SET sent_at = clock_timestamp() FROM due
        WHERE o.message_id = due.message_id
        RETURNING o.message_id, o.queue, o.body
    )
    SELECT array_agg(message_id), array_agg(queue), array_agg(body::text)
    INTO outgoing FROM marked;
    RETURN outgoing;
END $$;

-- RabbitMQ: writes, as unsent, the messages of every step that waits for one in p_queue, when the
-- broker has lost that queue with the messages in it. What was not lost after all is a duplicate,
-- and harmless. Returns how many.
CREATE FUNCTION write_lost_messages(p_queue text) RETURNS bigint LANGUAGE sql AS $$
    WITH waiting AS (
        SELECT s.step_id, CASE s.state
            WHEN 'Enqueued' THEN 'dispatch.' || s.namespace ELSE 'completions' END AS queue
        FROM tasks t JOIN workflow_steps s
            ON s.step_id BETWEEN t.task_id << 16 AND t.task_id << 16 | 65535
        WHERE t.finished_at IS NULL AND s.state IN ('Enqueued', 'EnqueuedForOrchestration')
    ), written AS (
        INSERT INTO message_outbox (queue, body, sent_at)
        SELECT w.queue, jsonb_build_object('step_id', w.step_id), '-infinity'
        FROM waiting w WHERE w.queue = p_queue
        RETURNING message_id
    )
    SELECT count(*) FROM written
$$;

-- What time brings about: retries that are due, attempts that take too long, delayed starts and
-- deadlines, messages that a broker has not confirmed. Every orchestrator calls these; the locks
-- decide who acts.

-- WaitingForRetry → Enqueued for retries that are due. next_due_ms, here and below: until the next
-- one; negative when it is due by now, NULL when there is none.
CREATE FUNCTION retry_steps(
    p_broker message_broker, p_max integer,
    OUT steps_retried integer, OUT next_due_ms bigint, OUT outgoing outgoing_messages
) LANGUAGE plpgsql AS $$
DECLARE
    due_task_ids bigint[];
    step_ids bigint[];
    namespaces text[];
    priorities smallint[];
BEGIN
    due_task_ids := ARRAY(
        SELECT t.task_id FROM tasks t
        WHERE t.steps_waiting > 0 AND EXISTS (
            SELECT FROM workflow_steps s
            WHERE s.step_id BETWEEN t.task_id << 16 AND t.task_id << 16 | 65535
                AND s.state = 'WaitingForRetry' AND s.retry_at <= now())
        ORDER BY t.task_id LIMIT p_max);
    IF due_task_ids <> '{}' THEN
        PERFORM 1 FROM tasks t WHERE t.task_id = ANY (due_task_ids)
        ORDER BY t.task_id FOR NO KEY UPDATE;
        WITH retried AS (
            UPDATE workflow_steps s
            SET state = 'Enqueued', retry_at = NULL, transition_count = s.transition_count + 1
            FROM unnest(due_task_ids) AS d (task_id)
            WHERE s.step_id BETWEEN d.task_id << 16 AND d.task_id << 16 | 65535
                AND s.state = 'WaitingForRetry' AND s.retry_at <= now()
            RETURNING s.step_id, s.namespace, s.priority, s.attempts, s.transition_count
        ), audit AS (
            INSERT INTO workflow_step_transitions
                (step_id, sort_key, from_state, to_state, attempt, reason)
            SELECT step_id, transition_count, 'WaitingForRetry', 'Enqueued', attempts, 'retry due'
            FROM retried
        )
        SELECT array_agg(step_id), array_agg(namespace), array_agg(priority)
        INTO step_ids, namespaces, priorities FROM retried;
    END IF;
    steps_retried := coalesce(cardinality(step_ids), 0);
    IF steps_retried > 0 THEN
        PERFORM resume_tasks(ARRAY(SELECT unnest(step_ids) >> 16));
        outgoing := send_dispatches(p_broker, step_ids, namespaces, priorities);
    END IF;
    SELECT ceil(extract(epoch FROM min(s.retry_at) - clock_timestamp()) * 1000)::bigint
    INTO next_due_ms
    FROM tasks t JOIN workflow_steps s
        ON s.step_id BETWEEN t.task_id << 16 AND t.task_id << 16 | 65535
    WHERE t.steps_waiting > 0 AND s.state = 'WaitingForRetry';
END $$;

-- Steps InProgress whose time is over, of up to p_max unfinished tasks at once. The lease has
-- expired: → Enqueued (the attempt is given back), or → Error when it has expired too often; of a
-- step that was held back it is not counted. The attempt has taken longer than its template lets
-- it: → EnqueuedForOrchestration, as a failure that may be tried again, and its worker is told.
-- again: there may be more now.
CREATE FUNCTION rescue_steps(
    p_broker message_broker, p_lease_expiries_max integer, p_max integer,
    OUT leases_expired integer, OUT steps_failed integer, OUT steps_timed_out integer,
    OUT tasks_finished uuid[], OUT again boolean, OUT next_due_ms bigint,
    OUT outgoing outgoing_messages
) LANGUAGE plpgsql AS $$
DECLARE
    due_task_ids bigint[];
    step_ids bigint[];
    states step_state[];
    namespaces text[];
    priorities smallint[];
    timed_out_ids bigint[];
    interrupted uuid[];
    failed_ids bigint[];
    failed_states step_state[];
    expanded record;
    completions outgoing_messages;
BEGIN
    leases_expired := 0;
    steps_failed := 0;
    steps_timed_out := 0;
    SELECT (array_agg(d.task_id ORDER BY d.task_id) FILTER (WHERE d.due_at <= now()))[1:p_max],
        ceil(extract(epoch FROM min(d.due_at) FILTER (WHERE d.due_at > now()) - now()) * 1000)
    INTO due_task_ids, next_due_ms
    FROM (
        SELECT t.task_id, min(least(s.lease_expires_at, s.timeout_at)) AS due_at
        FROM tasks t JOIN workflow_steps s
            ON s.step_id BETWEEN t.task_id << 16 AND t.task_id << 16 | 65535
        WHERE t.finished_at IS NULL AND t.steps_active > 0 AND s.state = 'InProgress'
        GROUP BY t.task_id
    ) AS d;
    again := coalesce(cardinality(due_task_ids) = p_max, false);
    IF due_task_ids IS NOT NULL THEN
        PERFORM 1 FROM tasks t WHERE t.task_id = ANY (due_task_ids)
        ORDER BY t.task_id FOR NO KEY UPDATE;

        WITH locked AS MATERIALIZED (
            SELECT s.step_id, s.claim_token, CASE
                    WHEN s.timeout_at <= now() THEN 'EnqueuedForOrchestration'
                    WHEN s.lease_expiries + (NOT s.is_held_back)::integer
                        >= p_lease_expiries_max THEN 'Error'
                    ELSE 'Enqueued' END::step_state AS to_state
            FROM unnest(due_task_ids) AS d (task_id) JOIN workflow_steps s
                ON s.step_id BETWEEN d.task_id << 16 AND d.task_id << 16 | 65535
            WHERE s.state = 'InProgress' AND least(s.lease_expires_at, s.timeout_at) <= now()
            ORDER BY s.step_id
            FOR UPDATE OF s
        ), moved AS (
            UPDATE workflow_steps s
            SET state = l.to_state,
                attempts = s.attempts - (l.to_state <> 'EnqueuedForOrchestration')::integer,
                lease_expiries = s.lease_expiries + (NOT s.is_held_back
                    AND l.to_state <> 'EnqueuedForOrchestration')::integer,
                outcome = CASE l.to_state
                    WHEN 'EnqueuedForOrchestration' THEN 'Retry'::step_outcome ELSE s.outcome END,
                -- Exponential, with full jitter, as a worker would have it (RetryPolicy::delay).
                retry_after_ms = CASE l.to_state
                    WHEN 'EnqueuedForOrchestration' THEN (random() * least(s.backoff_max_ms,
                        s.backoff_initial_ms * 2.0 ^ least(s.attempts - 1, 62)))::bigint
                    ELSE s.retry_after_ms END,
                error = CASE l.to_state
                    WHEN 'EnqueuedForOrchestration' THEN jsonb_build_object('kind', 'timeout',
                        'message', format('the attempt took longer than %s ms (timeout_ms) at %s',
                            s.timeout_ms, coalesce(s.claimed_by, 'a worker')))
                    ELSE jsonb_build_object('kind', 'lease_expired', 'message', format(
                        'the lease of %s expired before an outcome was stored (expiry %s of %s)',
                        coalesce(s.claimed_by, 'a worker'),
                        s.lease_expiries + (NOT s.is_held_back)::integer,
                        p_lease_expiries_max)) END,
                claim_token = NULL, lease_expires_at = NULL, timeout_at = NULL,
                transition_count = s.transition_count + 1
            FROM locked l
            WHERE s.step_id = l.step_id
            RETURNING s.step_id, s.namespace, s.priority, s.state, s.attempts,
                s.transition_count, s.is_held_back, l.claim_token
        ), audit AS (
            INSERT INTO workflow_step_transitions
                (step_id, sort_key, from_state, to_state, attempt, reason)
            SELECT step_id, transition_count, 'InProgress', state, attempts, CASE state
                WHEN 'EnqueuedForOrchestration' THEN 'timed out'
                ELSE 'lease expired' || CASE WHEN is_held_back THEN ' while held back' ELSE '' END
                END
            FROM moved
        )
        SELECT array_agg(step_id) FILTER (WHERE state <> 'EnqueuedForOrchestration'),
            array_agg(state) FILTER (WHERE state <> 'EnqueuedForOrchestration'),
            array_agg(CASE state WHEN 'Enqueued' THEN namespace END)
                FILTER (WHERE state <> 'EnqueuedForOrchestration'),
            array_agg(priority) FILTER (WHERE state <> 'EnqueuedForOrchestration'),
            array_agg(step_id) FILTER (WHERE state = 'EnqueuedForOrchestration'),
            array_agg(claim_token)
        INTO step_ids, states, namespaces, priorities, timed_out_ids, interrupted FROM moved;

        PERFORM notify_interrupted(interrupted);
        leases_expired := coalesce(cardinality(step_ids), 0);
        steps_timed_out := coalesce(cardinality(timed_out_ids), 0);
        steps_failed := coalesce(cardinality(array_positions(states, 'Error')), 0);
        IF steps_failed > 0 THEN
            -- Only their ends are news to the tasks: what is Enqueued again was counted as active.
            SELECT array_agg(f.step_id), array_agg(f.state) INTO failed_ids, failed_states
            FROM unnest(step_ids, states) AS f (step_id, state) WHERE f.state = 'Error';
            SELECT * INTO expanded FROM expand_steps(failed_ids, failed_states, NULL);
            tasks_finished := move_tasks(failed_ids || expanded.ready_step_ids,
                expanded.states || expanded.ready_states);
            IF tasks_finished IS NOT NULL THEN
                PERFORM notify_finished(tasks_finished);
            END IF;
            step_ids := step_ids || expanded.ready_step_ids;
            namespaces := namespaces || expanded.ready_namespaces;
            priorities := priorities || expanded.ready_priorities;
        END IF;
        IF step_ids IS NOT NULL THEN
            outgoing := send_dispatches(p_broker, step_ids, namespaces, priorities);
        END IF;
        IF timed_out_ids IS NOT NULL THEN
            completions := send_completions(p_broker, timed_out_ids);
            outgoing := (outgoing.message_ids || completions.message_ids,
                outgoing.queues || completions.queues,
                outgoing.priorities || completions.priorities,
                outgoing.bodies || completions.bodies);
        END IF;
    END IF;
END $$;

-- Tasks whose own time has come: delayed ones are started, and those past their deadline cancelled.
-- is_resuming: a namespace waits for resume_namespaces, whoever began that.
CREATE FUNCTION run_due_tasks(
    p_broker message_broker, p_max integer,
    OUT tasks_started integer, OUT tasks_finished uuid[], OUT is_resuming boolean,
    OUT next_due_ms bigint, OUT outgoing outgoing_messages
) LANGUAGE plpgsql AS $$
DECLARE
    due_task_ids bigint[];
    late_task_ids bigint[];
BEGIN
    tasks_started := 0;
    due_task_ids := ARRAY(
        SELECT d.task_id FROM (
            SELECT t.task_id FROM tasks t WHERE t.due_at <= now() ORDER BY t.due_at LIMIT p_max
        ) AS d ORDER BY d.task_id);
    IF due_task_ids <> '{}' THEN
        PERFORM 1 FROM tasks t WHERE t.task_id = ANY (due_task_ids)
        ORDER BY t.task_id FOR NO KEY UPDATE;
        late_task_ids := ARRAY(
            SELECT t.task_id FROM tasks t JOIN task_templates tt USING (template_id)
            WHERE t.task_id = ANY (due_task_ids) AND t.due_at <= now() AND (t.state <> 'Pending'
                OR coalesce(t.deadline_ms, tt.deadline_ms) <= t.delay_ms));
        tasks_finished := cancel_tasks(late_task_ids, 'deadline passed');
        due_task_ids := ARRAY(
            SELECT t.task_id FROM tasks t
            WHERE t.task_id = ANY (due_task_ids) AND t.state = 'Pending' AND t.due_at <= now()
            ORDER BY t.task_id);
        outgoing := start_tasks(p_broker, due_task_ids);
        tasks_started := cardinality(due_task_ids);
    END IF;
    SELECT ceil(extract(epoch FROM min(t.due_at) - clock_timestamp()) * 1000)::bigint
    INTO next_due_ms FROM tasks t WHERE t.due_at IS NOT NULL;
    is_resuming := EXISTS (SELECT FROM paused_namespaces p WHERE p.is_resuming);
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
        RETURNING o.message_id, o.queue, o.priority, o.body
    )
    SELECT array_agg(message_id), array_agg(queue), array_agg(priority), array_agg(body::text)
    INTO outgoing FROM marked;
    RETURN outgoing;
END $$;

-- RabbitMQ: writes, as unsent, the messages of every step that waits for one in p_queue, when the
-- broker has lost that queue with the messages in it. What was not lost after all is a duplicate,
-- and harmless. Returns how many.
CREATE FUNCTION write_lost_messages(p_queue text) RETURNS bigint LANGUAGE sql AS $$
    WITH waiting AS (
        SELECT s.step_id, CASE s.state
                WHEN 'Enqueued' THEN 'dispatch.' || s.namespace ELSE 'completions' END AS queue,
            CASE s.state WHEN 'Enqueued' THEN s.priority ELSE 0 END AS priority
        FROM tasks t JOIN workflow_steps s
            ON s.step_id BETWEEN t.task_id << 16 AND t.task_id << 16 | 65535
        WHERE t.finished_at IS NULL AND s.state IN ('Enqueued', 'EnqueuedForOrchestration')
    ), written AS (
        INSERT INTO message_outbox (queue, priority, body, sent_at)
        SELECT w.queue, w.priority, jsonb_build_object('step_id', w.step_id), '-infinity'
        FROM waiting w WHERE w.queue = p_queue
        RETURNING message_id
    )
    SELECT count(*) FROM written
$$;

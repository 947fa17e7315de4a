-- Ends on request, and the way back from a failure: cancel, redrive, prune; namespaces that pause.

-- Those of the steps that have not ended become Cancelled, whoever holds them; whoever works on one
-- is told. Returns them with the states that they were in. Called with the tasks locked.
CREATE FUNCTION cancel_steps(
    p_step_ids bigint[], p_reason text, OUT step_ids bigint[], OUT states step_state[]
) LANGUAGE plpgsql AS $$
DECLARE
    interrupted uuid[];
BEGIN
    WITH locked AS MATERIALIZED (
        SELECT s.step_id, s.state, s.claim_token FROM workflow_steps s
        WHERE s.step_id = ANY (p_step_ids) AND s.state IN (
            'Pending', 'Enqueued', 'InProgress', 'EnqueuedForOrchestration', 'WaitingForRetry')
        ORDER BY s.step_id FOR UPDATE
    ), stopped AS (
        UPDATE workflow_steps s
        SET state = 'Cancelled', claim_token = NULL, lease_expires_at = NULL, timeout_at = NULL,
            retry_at = NULL, transition_count = s.transition_count + 1
        FROM locked l WHERE s.step_id = l.step_id
        RETURNING s.step_id, l.state AS from_state, l.claim_token, s.attempts, s.transition_count
    ), audit AS (
        INSERT INTO workflow_step_transitions
            (step_id, sort_key, from_state, to_state, attempt, reason)
        SELECT step_id, transition_count, from_state, 'Cancelled', attempts, p_reason FROM stopped
    )
    SELECT array_agg(step_id), array_agg(from_state),
        array_agg(claim_token) FILTER (WHERE from_state = 'InProgress')
    INTO step_ids, states, interrupted FROM stopped;
    PERFORM notify_interrupted(interrupted);
END $$;

-- Tells the workers that hold these claims that they hold them no more. A payload has 200 tokens at
-- most (a NOTIFY carries 8,000 bytes).
CREATE FUNCTION notify_interrupted(p_claim_tokens uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('stepmark_interrupted', string_agg(c.claim_token::text, ','))
    FROM unnest(p_claim_tokens) WITH ORDINALITY AS c (claim_token, nr)
    GROUP BY (c.nr - 1) / 200;
END $$;

-- Every state that is not final → Cancelled, for these tasks and all their steps that have not
-- ended. Returns those that were: a task that is Complete or Cancelled stays as it is. Nothing of
-- them is dispatched once this has committed, because only an Enqueued step can be claimed.
CREATE FUNCTION cancel_tasks(p_task_ids bigint[], p_reason text) RETURNS uuid[]
LANGUAGE plpgsql AS $$
DECLARE
    cancelled uuid[];
BEGIN
    PERFORM 1 FROM tasks t WHERE t.task_id = ANY (p_task_ids)
    ORDER BY t.task_id FOR NO KEY UPDATE;
    PERFORM cancel_steps(ARRAY(
        SELECT s.step_id FROM tasks t JOIN workflow_steps s
            ON s.step_id BETWEEN t.task_id << 16 AND t.task_id << 16 | 65535
        WHERE t.task_id = ANY (p_task_ids) AND t.state NOT IN ('Complete', 'Cancelled')),
        p_reason);
    WITH before AS (
        SELECT t.task_id, t.state FROM tasks t
        WHERE t.task_id = ANY (p_task_ids) AND t.state NOT IN ('Complete', 'Cancelled')
    ), stopped AS (
        UPDATE tasks t
        SET state = 'Cancelled', finished_at = now(), failed_at = NULL, due_at = NULL,
            steps_active = 0, steps_waiting = 0, steps_unfinished = 0,
            transition_count = t.transition_count + 1, reason = p_reason
        FROM before b WHERE t.task_id = b.task_id AND t.state = b.state
        RETURNING t.task_id, t.task_uuid, b.state AS from_state, t.transition_count
    ), audit AS (
        INSERT INTO task_transitions (task_id, sort_key, from_state, to_state, reason)
        SELECT task_id, transition_count, from_state, 'Cancelled', p_reason FROM stopped
    )
    SELECT array_agg(task_uuid) INTO cancelled FROM stopped;
    PERFORM notify_finished(cancelled);
    RETURN cancelled;
END $$;

-- Error → EnqueuingSteps → StepsInProcess: the steps that failed are tried again, as if for the
-- first time, and with them what hangs on them. A failure that its batch went on without stays.
-- Batch workers that were cancelled with their batch are made anew, because Cancelled is final, and
-- take the places of the cancelled ones. Whether the task was in Error, so that anything was done.
CREATE FUNCTION redrive_task(
    p_broker message_broker, p_task_uuid uuid, OUT redriven boolean, OUT outgoing outgoing_messages
) LANGUAGE plpgsql AS $$
DECLARE
    task tasks;
    deadline interval;
    failed_ids bigint[];
    failed record;
    again record;
BEGIN
    SELECT * INTO task FROM tasks t WHERE t.task_uuid = p_task_uuid FOR NO KEY UPDATE;
    redriven := coalesce(task.state = 'Error', false);
    IF NOT redriven THEN
        RETURN;
    END IF;
    -- The time that a task may take begins anew.
    SELECT coalesce(task.deadline_ms, tt.deadline_ms) * interval '1 ms' INTO deadline
    FROM task_templates tt WHERE tt.template_id = task.template_id;
    failed_ids := ARRAY(
        SELECT s.step_id FROM workflow_steps s
        JOIN template_steps ts
            ON ts.template_id = task.template_id AND ts.step_no = s.template_step_no
        WHERE s.step_id BETWEEN task.task_id << 16 AND task.task_id << 16 | 65535
            AND s.state = 'Error'
            AND NOT (s.type = 'batch_worker' AND ts.on_failure = 'continue_on_failure'));
    WITH reset AS (
        UPDATE workflow_steps s
        SET state = 'Enqueued', attempts = 0, lease_expiries = 0, error = NULL, outcome = NULL,
            claim_token = NULL, transition_count = s.transition_count + 2
        WHERE s.step_id = ANY (failed_ids) AND s.state = 'Error'
        RETURNING s.step_id, s.namespace, s.priority, s.transition_count
    ), audit AS (
        INSERT INTO workflow_step_transitions
            (step_id, sort_key, from_state, to_state, attempt, reason)
        SELECT r.step_id, r.transition_count - a.back, a.from_state, a.to_state, 0, 'redrive'
        FROM reset r, (VALUES (1, 'Error'::step_state, 'Pending'::step_state),
            (0, 'Pending', 'Enqueued')) AS a (back, from_state, to_state)
    )
    SELECT array_agg(step_id) AS step_ids, array_agg(namespace) AS namespaces,
        array_agg(priority) AS priorities
    INTO failed FROM reset;
    again := make_anew(task.task_id);

    UPDATE tasks t
    SET state = 'StepsInProcess', finished_at = NULL, failed_at = NULL,
        due_at = now() + deadline, steps_failed = 0,
        steps_active = coalesce(cardinality(failed.step_ids), 0)
            + coalesce(cardinality(again.step_ids), 0),
        steps_unfinished = t.steps_unfinished + coalesce(cardinality(failed.step_ids), 0)
            + coalesce(cardinality(again.step_ids), 0),
        transition_count = t.transition_count + 2
    WHERE t.task_id = task.task_id;
    INSERT INTO task_transitions (task_id, sort_key, from_state, to_state, reason)
    VALUES (task.task_id, task.transition_count + 1, 'Error', 'EnqueuingSteps', 'redrive'),
        (task.task_id, task.transition_count + 2, 'EnqueuingSteps', 'StepsInProcess', 'redrive');
    outgoing := send_dispatches(p_broker, failed.step_ids || again.step_ids,
        failed.namespaces || again.namespaces, failed.priorities || again.priorities);
END $$;

-- New instances of the task's batch workers that were cancelled with their batch, in their places:
-- of the same names and with the same idempotency tokens. The old ones stand apart from then on.
CREATE FUNCTION make_anew(
    p_task_id bigint, OUT step_ids bigint[], OUT namespaces text[], OUT priorities smallint[]
) LANGUAGE plpgsql AS $$
BEGIN
    WITH cancelled AS (
        SELECT s.step_id AS old_id, (
                SELECT max(last.step_id) FROM workflow_steps last
                WHERE last.step_id BETWEEN p_task_id << 16 AND p_task_id << 16 | 65535
            ) + row_number() OVER (ORDER BY s.step_id) AS step_id
        FROM workflow_steps s
        WHERE s.step_id BETWEEN p_task_id << 16 AND p_task_id << 16 | 65535
            AND s.state = 'Cancelled' AND s.type = 'batch_worker' AND s.parents <> '{}'
    ), made AS (
        INSERT INTO workflow_steps (step_id, namespace, name, type, handler, template_step_no,
            priority, state, transition_count, parents_remaining, max_attempts, backoff_initial_ms,
            backoff_max_ms, timeout_ms, parents, children, input, rests_on, checkpoint)
        SELECT c.step_id, s.namespace, s.name, s.type, s.handler, s.template_step_no, s.priority,
            'Enqueued', 1, 0, s.max_attempts, s.backoff_initial_ms, s.backoff_max_ms, s.timeout_ms,
            s.parents, s.children, s.input, s.rests_on, s.checkpoint
        FROM cancelled c JOIN workflow_steps s ON s.step_id = c.old_id
        RETURNING step_id, namespace, priority, children
    ), audit AS (
        INSERT INTO workflow_step_transitions
            (step_id, sort_key, from_state, to_state, attempt, reason)
        SELECT step_id, 1, 'Pending', 'Enqueued', 0, 'redrive' FROM made
    ), replaced AS (
        UPDATE workflow_steps s SET parents = '{}' FROM cancelled c WHERE s.step_id = c.old_id
    ), converging AS (
        UPDATE workflow_steps child
        SET parents = ARRAY(
            SELECT coalesce(c.step_id, p.step_id)
            FROM unnest(child.parents) WITH ORDINALITY AS p (step_id, nr)
            LEFT JOIN cancelled c ON c.old_id = p.step_id
            ORDER BY p.nr)
        WHERE child.step_id IN (SELECT unnest(children) FROM made)
    )
    SELECT array_agg(step_id), array_agg(namespace), array_agg(priority)
    INTO step_ids, namespaces, priorities FROM made;
END $$;

-- Deletes tasks of these states that ended before p_before, with their steps and audit: a bounded
-- number at once. The p_max tasks after p_after are looked at; last_task_id is where to go on, NULL
-- when there are no more.
CREATE FUNCTION prune_tasks(
    p_before timestamptz, p_states task_state[], p_after bigint, p_max integer,
    OUT pruned integer, OUT last_task_id bigint
) LANGUAGE plpgsql AS $$
DECLARE
    asynchronous text;
    old_task_ids bigint[];
BEGIN
    asynchronous := set_config('synchronous_commit', 'off', true);
    SELECT max(t.task_id) INTO last_task_id FROM (
        SELECT t.task_id FROM tasks t WHERE t.task_id > p_after ORDER BY t.task_id LIMIT p_max
    ) AS t;
    old_task_ids := ARRAY(
        SELECT t.task_id FROM tasks t
        WHERE t.task_id > p_after AND t.task_id <= last_task_id
            AND t.finished_at < p_before AND t.state = ANY (p_states)
        ORDER BY t.task_id FOR UPDATE SKIP LOCKED);
    DELETE FROM workflow_step_transitions x USING unnest(old_task_ids) AS o (task_id)
    WHERE x.step_id BETWEEN o.task_id << 16 AND o.task_id << 16 | 65535;
    DELETE FROM workflow_steps s USING unnest(old_task_ids) AS o (task_id)
    WHERE s.step_id BETWEEN o.task_id << 16 AND o.task_id << 16 | 65535;
    DELETE FROM task_transitions x WHERE x.task_id = ANY (old_task_ids);
    DELETE FROM tasks t WHERE t.task_id = ANY (old_task_ids);
    pruned := cardinality(old_task_ids);
END $$;

-- Sends the dispatch messages of namespaces that are resuming anew, and ends their pause. In a
-- transaction after the one that let them be claimed again: whatever was claimed in vain before
-- that is seen here to be Enqueued. On RabbitMQ they are left for resend_outbox. Returns how many.
CREATE FUNCTION resume_namespaces(p_broker message_broker) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    resuming text[];
    step_ids bigint[];
    namespaces text[];
    priorities smallint[];
    outgoing outgoing_messages;
BEGIN
    resuming := ARRAY(
        SELECT namespace FROM paused_namespaces WHERE is_resuming ORDER BY namespace FOR UPDATE);
    IF resuming = '{}' THEN
        RETURN 0;
    END IF;
    SELECT array_agg(s.step_id ORDER BY s.step_id), array_agg(s.namespace ORDER BY s.step_id),
        array_agg(s.priority ORDER BY s.step_id)
    INTO step_ids, namespaces, priorities
    FROM tasks t JOIN workflow_steps s
        ON s.step_id BETWEEN t.task_id << 16 AND t.task_id << 16 | 65535
    WHERE t.finished_at IS NULL AND t.namespace = ANY (resuming) AND s.state = 'Enqueued';
    IF step_ids IS NOT NULL THEN
        outgoing := send_dispatches(p_broker, step_ids, namespaces, priorities);
        UPDATE message_outbox SET sent_at = '-infinity'
        WHERE message_id = ANY (outgoing.message_ids);
    END IF;
    DELETE FROM paused_namespaces WHERE namespace = ANY (resuming);
    RETURN coalesce(cardinality(step_ids), 0);
END $$;

-- What a finished or failed step means for its task: the dependency graph is evaluated, ready
-- children are enqueued, the task moves on or ends. For any number of completion messages at once.

-- The task's side of one evaluation: counters, state and audit. Called with the tasks locked; the
-- arrays run in parallel, one element a step that has come to a new state: Enqueued, or what became
-- of a step that was under way. Returns the tasks that have come to an end.
--   StepsInProcess → EvaluatingResults → EnqueuingSteps → StepsInProcess  something was enqueued
--                                      → StepsInProcess                   others still run
--                                      → WaitingForRetry                  only retries are left
--                                      → Complete | Error                 nothing is left to run
CREATE FUNCTION move_tasks(p_step_ids bigint[], p_states step_state[]) RETURNS uuid[]
LANGUAGE plpgsql AS $$
DECLARE
    ended uuid[];
BEGIN
    WITH moved AS (
        UPDATE tasks t
        SET state = CASE
                WHEN t.steps_active + y.enqueued > y.finished THEN 'StepsInProcess'
                WHEN t.steps_waiting + y.waiting > 0 THEN 'WaitingForRetry'
                WHEN t.steps_unfinished = y.completed AND t.steps_failed = 0 THEN 'Complete'
                ELSE 'Error' END::task_state,
            finished_at = CASE
                WHEN t.steps_active + y.enqueued > y.finished THEN NULL
                WHEN t.steps_waiting + y.waiting = 0 THEN now() END,
            failed_at = CASE
                WHEN t.steps_active + y.enqueued > y.finished OR t.steps_waiting + y.waiting > 0
                    OR t.steps_unfinished = y.completed AND t.steps_failed = 0 THEN NULL
                ELSE now() END,
            due_at = CASE
                WHEN t.steps_active + y.enqueued > y.finished OR t.steps_waiting + y.waiting > 0
                    THEN t.due_at END,
            steps_active = t.steps_active + y.enqueued - y.finished,
            steps_waiting = t.steps_waiting + y.waiting,
            steps_failed = t.steps_failed + y.failed,
            steps_unfinished = t.steps_unfinished - y.completed - y.failed,
            transition_count = t.transition_count + CASE WHEN y.enqueued > 0 THEN 3 ELSE 2 END
        FROM (
            SELECT c.task_id,
                count(*) FILTER (WHERE c.state = 'Enqueued')::integer AS enqueued,
                count(*) FILTER (WHERE c.state <> 'Enqueued')::integer AS finished,
                count(*) FILTER (WHERE c.state = 'Complete')::integer AS completed,
                count(*) FILTER (WHERE c.state = 'WaitingForRetry')::integer AS waiting,
                count(*) FILTER (WHERE c.state = 'Error')::integer AS failed
            FROM (
                SELECT unnest(p_step_ids) >> 16 AS task_id, unnest(p_states) AS state
            ) AS c
            GROUP BY c.task_id
        ) AS y
        WHERE t.task_id = y.task_id AND t.state = 'StepsInProcess'
        RETURNING t.task_id, t.task_uuid, t.state, t.finished_at, t.transition_count, y.enqueued
    ), audit AS (
        INSERT INTO task_transitions (task_id, sort_key, from_state, to_state)
        SELECT m.task_id, m.transition_count - a.back, a.from_state, a.to_state
        FROM moved m, LATERAL (
            VALUES (2, m.enqueued > 0, 'StepsInProcess'::task_state,
                    'EvaluatingResults'::task_state),
                (1, m.enqueued > 0, 'EvaluatingResults', 'EnqueuingSteps'),
                (0, m.enqueued > 0, 'EnqueuingSteps', m.state),
                (1, m.enqueued = 0, 'StepsInProcess', 'EvaluatingResults'),
                (0, m.enqueued = 0, 'EvaluatingResults', m.state)
        ) AS a (back, happened, from_state, to_state)
        WHERE a.happened
    )
    SELECT array_agg(task_uuid) INTO ended FROM moved WHERE finished_at IS NOT NULL;
    RETURN ended;
END $$;

-- Tells whoever waits for one of these tasks, on any orchestrator. The payload is a list of ids,
-- 100 at most (a NOTIFY carries 8,000 bytes).
CREATE FUNCTION notify_finished(p_task_uuids uuid[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('stepmark_finished', string_agg(f.task_uuid::text, ','))
    FROM unnest(p_task_uuids) WITH ORDINALITY AS f (task_uuid, nr)
    GROUP BY (f.nr - 1) / 100;
END $$;

-- RabbitMQ: the messages have been delivered and name the steps (p_step_ids).
-- PGMQ: that is NULL, and up to p_max messages are taken here, as claim_steps does.
--
-- queue_empty: no message was left in PGMQ's queue. steps_evaluated: completed steps whose
-- dependants were evaluated. next_retry_ms: time until the first of the retries that began to wait.
-- traced: the steps that were processed, for sessions that write traces (engine/src/traces.rs).
--
-- The commit is durable when a task has ended; otherwise it is asynchronous: what a crash takes
-- back, the completion message brings again, because taking it from PGMQ is taken back too, and
-- RabbitMQ is told that it is done with only after a flush of the log. A dispatch message that
-- RabbitMQ has of it by then names a step that is not Enqueued, and changes nothing.
CREATE FUNCTION process_completions(
    p_broker message_broker, p_max integer, p_step_ids bigint[],
    OUT queue_empty boolean, OUT steps_processed integer, OUT steps_evaluated integer,
    OUT tasks_finished uuid[], OUT next_retry_ms bigint, OUT traced jsonb,
    OUT outgoing outgoing_messages
) LANGUAGE plpgsql AS $$
DECLARE
    synchronous text;
    task_ids bigint[];
    moved_step_ids bigint[];
    moved_states step_state[];
    moved_namespaces text[]; -- of those that are Enqueued
    moved_priorities smallint[];
    results_stored pg_lsn;
    any_expands boolean;
    expanded record;
BEGIN
    steps_processed := 0;
    steps_evaluated := 0;
    queue_empty := true;
    IF p_step_ids IS NULL THEN
        -- The log's position is read before the first deletion writes to it, and after the snapshot
        -- is taken: past the outcomes that these messages tell of, and short of this transaction.
        WITH taken AS (
            DELETE FROM pgmq.q_stepmark_completions q
            USING (
                SELECT c.ctid, log.stored FROM (
                    SELECT pg_current_wal_insert_lsn() AS stored OFFSET 0
                ) AS log, pgmq.q_stepmark_completions c
                WHERE c.vt <= clock_timestamp()
                ORDER BY c.msg_id LIMIT p_max
                FOR UPDATE OF c SKIP LOCKED
            ) AS message
            WHERE q.ctid = message.ctid
            RETURNING (q.message ->> 'step_id')::bigint AS step_id, message.stored
        )
        SELECT array_agg(step_id), array_agg(step_id >> 16), min(stored)
        INTO p_step_ids, task_ids, results_stored FROM taken;
        IF p_step_ids IS NULL THEN
            RETURN;
        END IF;
        queue_empty := cardinality(p_step_ids) < p_max;
    ELSE
        task_ids := ARRAY(SELECT m.step_id >> 16 FROM unnest(p_step_ids) AS m (step_id));
    END IF;

    -- The lock comes first and in a statement of its own: the next one's snapshot is then younger
    -- than the lock, and sees what the last holder did. In one statement, two orchestrators that
    -- complete two parents at the same moment could leave the child Pending for ever. (Counting on
    -- the child's own row is a second safeguard; but steps are locked in no order of their own,
    -- so that without the lock there would be deadlocks too.)
    PERFORM 1 FROM tasks t WHERE t.task_id = ANY (task_ids)
    ORDER BY t.task_id FOR NO KEY UPDATE;

    WITH done AS (
        UPDATE workflow_steps s
        SET state = CASE
                WHEN s.outcome IN ('Complete', 'Branch', 'FanOut') THEN 'Complete'
                WHEN s.outcome = 'Retry' AND s.attempts < s.max_attempts THEN 'WaitingForRetry'
                ELSE 'Error' END::step_state,
            retry_at = CASE WHEN s.outcome = 'Retry' AND s.attempts < s.max_attempts
                THEN now() + s.retry_after_ms * interval '1 ms' END,
            claim_token = NULL, transition_count = s.transition_count + 1
        WHERE s.step_id = ANY (p_step_ids) AND s.state = 'EnqueuedForOrchestration'
        RETURNING s.step_id, s.state, s.transition_count, s.attempts, s.children,
            s.state = 'Complete' AND s.outcome <> 'Complete'
                OR s.state = 'Error' AND s.type = 'batch_worker' AS expands
    ), evaluated AS (
        UPDATE workflow_steps child
        SET parents_remaining = child.parents_remaining - c.parents_completed,
            state = CASE WHEN child.parents_remaining = c.parents_completed
                THEN 'Enqueued' ELSE child.state END,
            transition_count = child.transition_count
                + (child.parents_remaining = c.parents_completed)::integer,
            rests_on = results_stored
        FROM (
            SELECT e.step_id, count(*)::integer AS parents_completed
            FROM (
                SELECT unnest(children) AS step_id FROM done
                WHERE state = 'Complete' AND NOT expands
            ) AS e
            GROUP BY e.step_id
        ) AS c
        WHERE child.step_id = c.step_id AND child.state = 'Pending'
        RETURNING child.step_id, child.namespace, child.priority, child.state,
            child.transition_count
    ), moved AS (
        SELECT step_id, NULL AS namespace, NULL::smallint AS priority, transition_count,
            'EnqueuedForOrchestration'::step_state AS from_state, state, attempts, expands
        FROM done
        UNION ALL
        SELECT step_id, namespace, priority, transition_count, 'Pending', state, 0, false
        FROM evaluated WHERE state = 'Enqueued'
    ), audit AS (
        INSERT INTO workflow_step_transitions
            (step_id, sort_key, from_state, to_state, attempt)
        SELECT step_id, transition_count, from_state, state, attempts FROM moved
    )
    SELECT array_agg(step_id), array_agg(state), array_agg(namespace), array_agg(priority),
        bool_or(expands)
    INTO moved_step_ids, moved_states, moved_namespaces, moved_priorities, any_expands
    FROM moved;
    IF moved_step_ids IS NULL THEN
        RETURN;
    END IF;

    steps_evaluated := cardinality(array_positions(moved_states, 'Complete'));
    steps_processed := cardinality(moved_states)
        - cardinality(array_positions(moved_states, 'Enqueued'));
    IF 'WaitingForRetry' = ANY (moved_states) THEN
        SELECT min(s.retry_after_ms) INTO next_retry_ms FROM workflow_steps s
        WHERE s.step_id = ANY (p_step_ids) AND s.state = 'WaitingForRetry';
    END IF;
    IF current_setting('stepmark.traces', true) = 'on' THEN
        SELECT jsonb_agg(jsonb_build_object(
            'task_uuid', t.task_uuid, 'step_id', s.step_id, 'namespace', s.namespace,
            'name', s.name, 'attempt', s.attempts, 'error', s.error ->> 'message',
            'enqueued_us', (extract(epoch FROM a.enqueued_at) * 1000000)::bigint,
            'claimed_us', (extract(epoch FROM a.claimed_at) * 1000000)::bigint))
        INTO traced
        FROM unnest(moved_step_ids, moved_states) AS m (step_id, state)
        JOIN workflow_steps s ON s.step_id = m.step_id
        JOIN tasks t ON t.task_id = s.step_id >> 16
        CROSS JOIN LATERAL (
            SELECT max(x.at) FILTER (WHERE x.to_state = 'Enqueued') AS enqueued_at,
                max(x.at) FILTER (WHERE x.to_state = 'InProgress') AS claimed_at
            FROM workflow_step_transitions x WHERE x.step_id = s.step_id
        ) AS a
        WHERE m.state <> 'Enqueued';
    END IF;
    IF any_expands THEN
        SELECT * INTO expanded FROM expand_steps(moved_step_ids, moved_states, results_stored);
        moved_states := expanded.states || expanded.ready_states;
        moved_step_ids := moved_step_ids || expanded.ready_step_ids;
        moved_namespaces := moved_namespaces || expanded.ready_namespaces;
        moved_priorities := moved_priorities || expanded.ready_priorities;
    END IF;
    tasks_finished := move_tasks(moved_step_ids, moved_states);
    IF steps_processed < cardinality(moved_states) THEN
        outgoing :=
            send_dispatches(p_broker, moved_step_ids, moved_namespaces, moved_priorities);
    END IF;
    IF tasks_finished IS NOT NULL THEN
        PERFORM notify_finished(tasks_finished);
    ELSE
        synchronous := set_config('synchronous_commit', 'off', true);
    END IF;
END $$;

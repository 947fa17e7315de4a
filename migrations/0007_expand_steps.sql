-- What ends mean that are more than a completion: a decision's branches run or are skipped, a
-- batchable step's batches become steps, a batch worker's failure ends its batch or is gone on
-- without. All of it happens in the transaction of the evaluation, so that no reader ever sees a
-- task that looks complete while its steps are still to be made.
--
-- The steps of one evaluation and the states that they have come to; those that are not of these
-- kinds are left alone. Called with the tasks locked. states: the same, with a failure that its
-- batch goes on without counted as Complete, and a retry whose batch has failed meanwhile as
-- Cancelled; ready_…: the steps that have been enqueued.
CREATE FUNCTION expand_steps(
    p_step_ids bigint[], p_states step_state[], p_rests_on pg_lsn,
    OUT states step_state[], OUT ready_step_ids bigint[], OUT ready_states step_state[],
    OUT ready_namespaces text[], OUT ready_priorities smallint[]
) LANGUAGE plpgsql AS $$
DECLARE
    made record;
    ended record;
    told record;
    child_ids bigint[];
    child_ends text[];
    skipped_ids bigint[];
BEGIN
    made := make_batches(p_step_ids, p_rests_on);
    ready_step_ids := coalesce(made.step_ids, '{}');
    ready_namespaces := coalesce(made.namespaces, '{}');
    ready_priorities := coalesce(made.priorities, '{}');

    -- What the children are told: a parent has ended, was skipped (a branch that was not chosen),
    -- or has failed and is gone on without.
    SELECT array_agg(e.child_id), array_agg(e.child_end) INTO child_ids, child_ends
    FROM (
        SELECT child.step_id AS child_id, CASE
                WHEN p.state = 'Error' THEN 'failed'
                WHEN p.outcome = 'Branch' AND child.template_step_no = ANY (ts.branches)
                    AND NOT p.expansion ? child.name THEN 'skipped'
                ELSE 'ended' END AS child_end
        FROM workflow_steps p
        JOIN tasks t ON t.task_id = p.step_id >> 16
        JOIN template_steps ts
            ON ts.template_id = t.template_id AND ts.step_no = p.template_step_no
        CROSS JOIN LATERAL unnest(p.children) AS c (step_id)
        JOIN workflow_steps child ON child.step_id = c.step_id
        WHERE p.step_id = ANY (p_step_ids)
            AND (p.state = 'Complete' AND p.outcome IN ('Branch', 'FanOut')
                OR p.state = 'Error' AND p.type = 'batch_worker'
                    AND ts.on_failure = 'continue_on_failure')
            -- A batchable step no longer stands in for workers that are there.
            AND p.step_id = ANY (child.parents)
    ) AS e;
    ended := end_batches(CASE WHEN 'Error' = ANY (p_states) THEN p_step_ids ELSE '{}' END);
    states := ARRAY(
        SELECT CASE
            WHEN m.step_id = ANY (ended.tolerated_ids) THEN 'Complete'
            WHEN m.step_id = ANY (ended.cancelled_ids) THEN 'Cancelled'
            ELSE m.state END
        FROM unnest(p_step_ids, p_states) WITH ORDINALITY AS m (step_id, state, nr)
        ORDER BY m.nr);

    WHILE child_ids IS NOT NULL LOOP
        told := tell_children(child_ids, child_ends, p_rests_on);
        ready_step_ids := ready_step_ids || told.ready_step_ids;
        ready_namespaces := ready_namespaces || told.ready_namespaces;
        ready_priorities := ready_priorities || told.ready_priorities;
        skipped_ids := skipped_ids || told.skipped_ids;
        SELECT array_agg(c.step_id), array_agg('skipped'::text) INTO child_ids, child_ends
        FROM workflow_steps s, unnest(s.children) AS c (step_id)
        WHERE s.step_id = ANY (told.skipped_ids);
    END LOOP;
    ready_states := array_fill('Enqueued'::step_state, ARRAY[cardinality(ready_step_ids)]);

    -- Births, and ends that were none of a step under way; the rest is move_tasks' doing.
    UPDATE tasks t
    SET steps_unfinished = t.steps_unfinished + d.made - d.skipped - d.cancelled,
        steps_active = t.steps_active - d.active, steps_waiting = t.steps_waiting - d.waiting
    FROM (
        SELECT c.step_id >> 16 AS task_id,
            count(*) FILTER (WHERE c.what = 'made')::integer AS made,
            count(*) FILTER (WHERE c.what = 'skipped')::integer AS skipped,
            count(*) FILTER (WHERE c.what NOT IN ('made', 'skipped'))::integer AS cancelled,
            count(*) FILTER (WHERE c.what IN (
                'Enqueued', 'InProgress', 'EnqueuedForOrchestration'))::integer AS active,
            -- Not those that have begun to wait in this evaluation: they are not counted yet.
            count(*) FILTER (WHERE c.what = 'WaitingForRetry'
                AND NOT c.step_id = ANY (p_step_ids))::integer AS waiting
        FROM (
            SELECT unnest(made.step_ids) AS step_id, 'made' AS what
            UNION ALL SELECT unnest(skipped_ids), 'skipped'
            UNION ALL SELECT unnest(ended.cancelled_ids), unnest(ended.cancelled_states)::text
        ) AS c
        GROUP BY c.step_id >> 16
    ) AS d
    WHERE t.task_id = d.task_id;
END $$;

-- The batches that batchable steps among these have asked for: each becomes an instance of the
-- batch worker, born Pending and Enqueued at once, and takes the place of the batchable step where
-- that stood in for it. Any number of them is made by one statement.
CREATE FUNCTION make_batches(
    p_step_ids bigint[], p_rests_on pg_lsn,
    OUT step_ids bigint[], OUT namespaces text[], OUT priorities smallint[]
) LANGUAGE plpgsql AS $$
BEGIN
    -- Most decide only: the statement below is dear to begin.
    IF NOT EXISTS (SELECT FROM workflow_steps
        WHERE step_id = ANY (p_step_ids) AND state = 'Complete' AND outcome = 'FanOut')
    THEN
        RETURN;
    END IF;

    -- The last number is looked up before the first is given: it would be among the rows that this
    -- very statement has made, which it can't see, and go through all of them for each.
    WITH batchable AS MATERIALIZED (
        SELECT s.step_id, s.namespace, s.priority, s.expansion, t.template_id, ts.worker, (
                SELECT max(last.step_id) FROM workflow_steps last
                WHERE last.step_id BETWEEN s.step_id >> 16 << 16 AND s.step_id | 65535
            ) AS last_step_id
        FROM workflow_steps s
        JOIN tasks t ON t.task_id = s.step_id >> 16
        JOIN template_steps ts
            ON ts.template_id = t.template_id AND ts.step_no = s.template_step_no
        WHERE s.step_id = ANY (p_step_ids) AND s.state = 'Complete' AND s.outcome = 'FanOut'
    ), made AS (
        INSERT INTO workflow_steps (step_id, namespace, name, type, handler, template_step_no,
            priority, state, transition_count, parents_remaining, max_attempts, backoff_initial_ms,
            backoff_max_ms, timeout_ms, parents, children, input, rests_on)
        SELECT b.last_step_id
                + row_number() OVER (PARTITION BY b.step_id >> 16 ORDER BY b.step_id, e.nr),
            b.namespace, w.name || '_' || lpad(e.nr::text, greatest(3, length(e.nr::text)), '0'),
            w.type, w.handler, w.step_no, b.priority, 'Enqueued', 1, 0, w.max_attempts,
            w.backoff_initial_ms, w.backoff_max_ms, w.timeout_ms, ARRAY[b.step_id],
            ARRAY(SELECT b.step_id >> 16 << 16 | c.step_no FROM unnest(w.children) AS c (step_no)),
            e.input, p_rests_on
        FROM batchable b
        JOIN template_steps w ON w.template_id = b.template_id AND w.step_no = b.worker
        CROSS JOIN LATERAL jsonb_array_elements(b.expansion) WITH ORDINALITY AS e (input, nr)
        RETURNING step_id, namespace, priority, parents, children
    ), audit AS (
        INSERT INTO workflow_step_transitions (step_id, sort_key, from_state, to_state, attempt)
        SELECT step_id, 1, 'Pending', 'Enqueued', 0 FROM made
    ), converging AS (
        UPDATE workflow_steps c
        SET parents = kept.step_ids || m.step_ids,
            parents_remaining = c.parents_remaining + cardinality(kept.step_ids)
                + cardinality(m.step_ids) - cardinality(c.parents)
        FROM (
            SELECT child.step_id, array_agg(made.step_id ORDER BY made.step_id) AS step_ids,
                array_agg(DISTINCT made.parents[1]) AS batchable_ids
            FROM made, unnest(made.children) AS child (step_id)
            GROUP BY child.step_id
        ) AS m
        JOIN tasks t ON t.task_id = m.step_id >> 16
        JOIN template_steps ts
            ON ts.template_id = t.template_id AND ts.step_no = m.step_id & 65535
        JOIN workflow_steps before ON before.step_id = m.step_id
        CROSS JOIN LATERAL (
            SELECT ARRAY(
                SELECT p.step_id
                FROM unnest(before.parents) WITH ORDINALITY AS p (step_id, nr)
                WHERE NOT (p.step_id = ANY (m.batchable_ids)
                    AND p.step_id & 65535 = ANY (ts.placeholders))
                ORDER BY p.nr) AS step_ids
        ) AS kept
        WHERE c.step_id = m.step_id
    )
    SELECT array_agg(made.step_id ORDER BY made.step_id),
        array_agg(made.namespace ORDER BY made.step_id),
        array_agg(made.priority ORDER BY made.step_id)
    INTO step_ids, namespaces, priorities FROM made;
END $$;

-- Batch workers among these that have ended in Error. tolerated_ids: those that their batch goes on
-- without; for the others, every step of the batch that has not ended is Cancelled (cancelled_ids,
-- with the states that they were in), and whoever works on one is told.
CREATE FUNCTION end_batches(
    p_step_ids bigint[],
    OUT tolerated_ids bigint[], OUT cancelled_ids bigint[], OUT cancelled_states step_state[]
) LANGUAGE plpgsql AS $$
DECLARE
    batchable_ids bigint[];
BEGIN
    tolerated_ids := '{}';
    IF p_step_ids = '{}' THEN -- nothing has failed
        RETURN;
    END IF;
    SELECT array_agg(s.step_id) FILTER (WHERE ts.on_failure = 'continue_on_failure'),
        array_agg(s.parents[1]) FILTER (WHERE ts.on_failure = 'fail_fast')
    INTO tolerated_ids, batchable_ids
    FROM workflow_steps s
    JOIN tasks t ON t.task_id = s.step_id >> 16
    JOIN template_steps ts
        ON ts.template_id = t.template_id AND ts.step_no = s.template_step_no
    WHERE s.step_id = ANY (p_step_ids) AND s.state = 'Error' AND s.type = 'batch_worker';
    tolerated_ids := coalesce(tolerated_ids, '{}');
    IF batchable_ids IS NULL THEN
        RETURN;
    END IF;
    SELECT c.step_ids, c.states INTO cancelled_ids, cancelled_states FROM cancel_steps(ARRAY(
        SELECT s.step_id FROM (SELECT DISTINCT unnest(batchable_ids) AS step_id) AS b
        JOIN workflow_steps s
            ON s.step_id BETWEEN b.step_id >> 16 << 16 AND b.step_id | 65535
        WHERE s.type = 'batch_worker' AND s.parents[1] = b.step_id), 'batch failed') AS c;
END $$;

-- Tells children of their parents' ends; the arrays have one element an end (ended, skipped or
-- failed). A child that has nothing more to wait for is enqueued. One with a skipped parent is
-- skipped; a convergence, when all its parents are.
CREATE FUNCTION tell_children(
    p_child_ids bigint[], p_child_ends text[], p_rests_on pg_lsn,
    OUT ready_step_ids bigint[], OUT ready_namespaces text[], OUT ready_priorities smallint[],
    OUT skipped_ids bigint[]
) LANGUAGE plpgsql AS $$
BEGIN
    WITH told AS (
        UPDATE workflow_steps child
        SET parents_remaining = child.parents_remaining - e.ended,
            parents_skipped = child.parents_skipped + e.skipped,
            parents_failed = child.parents_failed + e.failed,
            state = CASE
                WHEN child.type <> 'deferred_convergence' AND e.skipped > 0
                    OR child.parents_skipped + e.skipped = cardinality(child.parents)
                    THEN 'Skipped'
                WHEN child.parents_remaining = e.ended THEN 'Enqueued'
                ELSE child.state END::step_state,
            transition_count = child.transition_count
                + (child.type <> 'deferred_convergence' AND e.skipped > 0
                    OR child.parents_skipped + e.skipped = cardinality(child.parents)
                    OR child.parents_remaining = e.ended)::integer,
            rests_on = coalesce(p_rests_on, child.rests_on)
        FROM (
            SELECT c.step_id, count(*)::integer AS ended,
                count(*) FILTER (WHERE c.child_end = 'skipped')::integer AS skipped,
                count(*) FILTER (WHERE c.child_end = 'failed')::integer AS failed
            FROM (SELECT unnest(p_child_ids) AS step_id, unnest(p_child_ends) AS child_end) AS c
            GROUP BY c.step_id
        ) AS e
        WHERE child.step_id = e.step_id AND child.state = 'Pending'
        RETURNING child.step_id, child.namespace, child.priority, child.state,
            child.transition_count
    ), audit AS (
        INSERT INTO workflow_step_transitions
            (step_id, sort_key, from_state, to_state, attempt)
        SELECT step_id, transition_count, 'Pending', state, 0 FROM told WHERE state <> 'Pending'
    )
    SELECT array_agg(step_id) FILTER (WHERE state = 'Enqueued'),
        array_agg(namespace) FILTER (WHERE state = 'Enqueued'),
        array_agg(priority) FILTER (WHERE state = 'Enqueued'),
        array_agg(step_id) FILTER (WHERE state = 'Skipped')
    INTO ready_step_ids, ready_namespaces, ready_priorities, skipped_ids FROM told;
END $$;

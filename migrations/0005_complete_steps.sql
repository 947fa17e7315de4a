-- InProgress → EnqueuedForOrchestration: stores the outcomes of any number of steps with their
-- audit and completion messages, in one durable commit. Only the holder of the claim token may
-- store one: a late result of a lost lease is fenced, which is an outcome and not an error.
-- accepted tells for each element whether it was stored. The steps come sorted, so that all lock in
-- key order.

CREATE FUNCTION complete_steps(
    p_broker message_broker, p_task_ids bigint[], p_step_nos integer[], p_claim_tokens uuid[],
    p_outcomes text[], p_results text[], p_errors text[], p_retry_after_ms bigint[],
    OUT accepted boolean[], OUT outgoing outgoing_messages
) LANGUAGE plpgsql AS $$
DECLARE
    task_ids bigint[];
    step_nos integer[];
    accepted_nrs bigint[];
BEGIN
    WITH stored AS (
        UPDATE workflow_steps s
        SET state = 'EnqueuedForOrchestration', outcome = p_outcomes[m.nr]::step_outcome,
            result = p_results[m.nr]::jsonb, error = p_errors[m.nr]::jsonb,
            retry_after_ms = p_retry_after_ms[m.nr], lease_expires_at = NULL,
            transition_count = s.transition_count + 1
        FROM unnest(p_task_ids) WITH ORDINALITY AS m (task_id, nr)
        WHERE s.task_id = m.task_id AND s.step_no = p_step_nos[m.nr]
            AND s.state = 'InProgress' AND s.claim_token = p_claim_tokens[m.nr]
        RETURNING s.task_id, s.step_no, s.transition_count, s.attempts, m.nr
    ), audit AS (
        INSERT INTO workflow_step_transitions
            (task_id, step_no, sort_key, from_state, to_state, attempt)
        SELECT task_id, step_no, transition_count, 'InProgress', 'EnqueuedForOrchestration',
            attempts
        FROM stored
    )
    SELECT array_agg(task_id), array_agg(step_no), array_agg(nr)
    INTO task_ids, step_nos, accepted_nrs FROM stored;

    IF task_ids IS NOT NULL THEN
        outgoing := send_completions(p_broker, task_ids, step_nos);
    END IF;
    IF cardinality(task_ids) = cardinality(p_task_ids) THEN
        accepted := array_fill(true, ARRAY[cardinality(p_task_ids)]);
        RETURN;
    END IF;
    SELECT array_agg(coalesce(m.nr = ANY (accepted_nrs), false) ORDER BY m.nr) INTO accepted
    FROM generate_subscripts(p_task_ids, 1) AS m (nr);
END $$;

-- InProgress → EnqueuedForOrchestration: stores the outcomes of any number of steps with their
-- audit and completion messages, in one commit. Only the holder of the claim token may store one:
-- a late result of a lost lease is fenced, which is an outcome and not an error. accepted tells for
-- each element whether it was stored. The steps come sorted, so that all lock in key order.
--
-- On RabbitMQ the commit is durable. On PGMQ it is asynchronous, and durable is false: the caller
-- flushes the log and keeps the outcomes until that is done, to store them again if the database
-- crashes before. Meanwhile they are evaluated; but nobody is told of them before they are on disk:
-- not the handlers that are given them (claim_steps), nor the readers of a task. Where commits wait
-- for a standby, which the log's position doesn't tell of, this one does.

CREATE FUNCTION complete_steps(
    p_broker message_broker, p_step_ids bigint[], p_claim_tokens uuid[],
    p_outcomes text[], p_results text[], p_expansions text[], p_errors text[],
    p_retry_after_ms bigint[],
    OUT accepted boolean[], OUT durable boolean, OUT outgoing outgoing_messages
) LANGUAGE plpgsql AS $$
DECLARE
    asynchronous text;
    step_ids bigint[];
    accepted_nrs bigint[];
    refused record;
BEGIN
    IF p_outcomes && '{Branch,FanOut}' THEN
        FOR refused IN
            SELECT * FROM refused_expansions(p_step_ids, p_outcomes, p_expansions)
        LOOP
            p_outcomes[refused.nr] := 'Fail';
            p_results[refused.nr] := NULL;
            p_expansions[refused.nr] := NULL;
            p_errors[refused.nr] :=
                jsonb_build_object('kind', 'handler', 'message', refused.message);
        END LOOP;
    END IF;
    durable := p_broker <> 'pgmq' OR current_setting('synchronous_standby_names') <> '';
    IF NOT durable THEN
        asynchronous := set_config('synchronous_commit', 'off', true);
    END IF;
    WITH stored AS (
        UPDATE workflow_steps s
        SET state = 'EnqueuedForOrchestration', outcome = p_outcomes[m.nr]::step_outcome,
            result = p_results[m.nr]::jsonb, expansion = p_expansions[m.nr]::jsonb,
            error = p_errors[m.nr]::jsonb, retry_after_ms = p_retry_after_ms[m.nr],
            lease_expires_at = NULL, timeout_at = NULL,
            transition_count = s.transition_count + 1
        FROM unnest(p_step_ids) WITH ORDINALITY AS m (step_id, nr)
        WHERE s.step_id = m.step_id AND s.state = 'InProgress'
            AND s.claim_token = p_claim_tokens[m.nr]
        RETURNING s.step_id, s.transition_count, s.attempts, m.nr
    ), audit AS (
        INSERT INTO workflow_step_transitions
            (step_id, sort_key, from_state, to_state, attempt)
        SELECT step_id, transition_count, 'InProgress', 'EnqueuedForOrchestration', attempts
        FROM stored
    )
    SELECT array_agg(step_id), array_agg(nr) INTO step_ids, accepted_nrs
    FROM stored;

    IF step_ids IS NOT NULL THEN
        outgoing := send_completions(p_broker, step_ids);
    END IF;
    IF cardinality(step_ids) = cardinality(p_step_ids) THEN
        accepted := array_fill(true, ARRAY[cardinality(p_step_ids)]);
        RETURN;
    END IF;
    SELECT array_agg(coalesce(m.nr = ANY (accepted_nrs), false) ORDER BY m.nr) INTO accepted
    FROM generate_subscripts(p_step_ids, 1) AS m (nr);
END $$;

-- What a template doesn't let a decision choose or a batchable step make: the outcomes, by their
-- place, that are failures for it, and what to say of them.
CREATE FUNCTION refused_expansions(p_step_ids bigint[], p_outcomes text[], p_expansions text[])
RETURNS TABLE (nr bigint, message text) LANGUAGE sql STABLE AS $$
    SELECT m.nr, r.message
    FROM unnest(p_step_ids, p_outcomes, p_expansions) WITH ORDINALITY
        AS m (step_id, outcome, expansion, nr)
    JOIN tasks t ON t.task_id = m.step_id >> 16
    JOIN workflow_steps s ON s.step_id = m.step_id
    JOIN template_steps ts
        ON ts.template_id = t.template_id AND ts.step_no = s.template_step_no
    CROSS JOIN LATERAL (
        SELECT format('%s chose %s, which is none of its branches: they are %s', s.name,
            string_agg(DISTINCT c.name, ', '), (
                SELECT string_agg(b.name, ', ' ORDER BY b.step_no) FROM template_steps b
                WHERE b.template_id = t.template_id AND b.step_no = ANY (ts.branches))) AS message
        FROM jsonb_array_elements_text(m.expansion::jsonb) AS c (name)
        WHERE m.outcome = 'Branch' AND NOT EXISTS (
            SELECT FROM template_steps b
            WHERE b.template_id = t.template_id AND b.name = c.name
                AND b.step_no = ANY (ts.branches))
        HAVING count(*) > 0
        UNION ALL
        SELECT format('%s made %s batches, its template allows %s (batches_max)', s.name,
            jsonb_array_length(m.expansion::jsonb), ts.batches_max)
        WHERE m.outcome = 'FanOut' AND jsonb_array_length(m.expansion::jsonb) > ts.batches_max
    ) AS r
$$;

-- Stores a template's definition and its steps, unless that very content is there already.
-- p_definition is the canonical form; p_steps has an element a step, by number, with its fields and
-- its connections.
CREATE FUNCTION register_template(
    p_namespace text, p_name text, p_version integer, p_content_hash text, p_definition jsonb,
    p_steps jsonb
) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    id integer;
BEGIN
    INSERT INTO task_templates (namespace, name, version, content_hash, definition, deadline_ms,
        steps, roots)
    SELECT p_namespace, p_name, p_version, p_content_hash, p_definition,
        (p_definition ->> 'deadline_ms')::bigint,
        count(*) FILTER (WHERE s.step ->> 'type' <> 'batch_worker'),
        count(*) FILTER (WHERE s.step -> 'parents' = '[]')
    FROM jsonb_array_elements(p_steps) AS s (step)
    ON CONFLICT (content_hash) DO NOTHING
    RETURNING template_id INTO id;
    IF id IS NULL THEN
        RETURN (SELECT template_id FROM task_templates WHERE content_hash = p_content_hash);
    END IF;
    INSERT INTO template_steps
    SELECT id, s.nr - 1, r.name, r.type, r.handler, r.max_attempts, r.backoff_initial_ms,
        r.backoff_max_ms, r.timeout_ms, r.parents, r.placeholders, r.children, r.branches,
        r.worker, r.batches_max, r.on_failure
    FROM jsonb_array_elements(p_steps) WITH ORDINALITY AS s (step, nr)
    CROSS JOIN LATERAL jsonb_to_record(s.step) AS r (name text, type step_type, handler text,
        max_attempts integer, backoff_initial_ms bigint, backoff_max_ms bigint,
        timeout_ms bigint, parents integer[], placeholders integer[], children integer[],
        branches integer[], worker integer, batches_max integer, on_failure failure_strategy);
    RETURN id;
END $$;

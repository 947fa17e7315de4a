-- Stores a template's definition and its steps, unless that very content is there already.
-- p_definition is the canonical form: {"steps": [{"name", "handler", "depends_on": [name, …],
-- "retry": {"max_attempts", "backoff_initial_ms", "backoff_max_ms"}}, …], …}.
CREATE FUNCTION register_template(
    p_namespace text, p_name text, p_version integer, p_content_hash text, p_definition jsonb
) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    id integer;
BEGIN
    INSERT INTO task_templates (namespace, name, version, content_hash, definition, steps, roots)
    SELECT p_namespace, p_name, p_version, p_content_hash, p_definition, count(*),
        count(*) FILTER (WHERE s.definition -> 'depends_on' = '[]')
    FROM jsonb_array_elements(p_definition -> 'steps') AS s (definition)
    ON CONFLICT (content_hash) DO NOTHING
    RETURNING template_id INTO id;
    IF id IS NULL THEN
        RETURN (SELECT template_id FROM task_templates WHERE content_hash = p_content_hash);
    END IF;
    WITH step AS (
        SELECT (s.nr - 1)::integer AS step_no, s.definition
        FROM jsonb_array_elements(p_definition -> 'steps') WITH ORDINALITY AS s (definition, nr)
    ), edge AS (
        SELECT parent.step_no AS from_step, child.step_no AS to_step
        FROM step child, jsonb_array_elements_text(child.definition -> 'depends_on') AS d (name)
        JOIN step parent ON parent.definition ->> 'name' = d.name
    )
    INSERT INTO template_steps (template_id, step_no, name, handler, max_attempts,
        backoff_initial_ms, backoff_max_ms, parents, children)
    SELECT id, s.step_no, s.definition ->> 'name', s.definition ->> 'handler',
        (s.definition -> 'retry' ->> 'max_attempts')::integer,
        (s.definition -> 'retry' ->> 'backoff_initial_ms')::bigint,
        (s.definition -> 'retry' ->> 'backoff_max_ms')::bigint,
        ARRAY(SELECT from_step FROM edge WHERE to_step = s.step_no ORDER BY 1),
        ARRAY(SELECT to_step FROM edge WHERE from_step = s.step_no ORDER BY 1)
    FROM step s;
    RETURN id;
END $$;

-- The errors of those parents of step $1 that it goes on without, by their names.
SELECT jsonb_object_agg(p.name, p.error)::text
FROM workflow_steps s JOIN workflow_steps p ON p.step_id = ANY (s.parents)
WHERE s.step_id = $1 AND p.state = 'Error'

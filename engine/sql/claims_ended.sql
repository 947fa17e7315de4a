-- Those of the claims $2 on steps $1 that hold no more.
SELECT m.claim_token FROM unnest($1::bigint[], $2::uuid[]) AS m (step_id, claim_token)
WHERE NOT EXISTS (
    SELECT FROM workflow_steps s
    WHERE s.step_id = m.step_id AND s.state = 'InProgress' AND s.claim_token = m.claim_token)

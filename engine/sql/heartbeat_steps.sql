-- Extends the leases of claims by $4 ms and keeps their checkpoints; see heartbeat_steps.
SELECT heartbeat_steps($1, $2, $3, $4)

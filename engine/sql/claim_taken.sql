-- PGMQ: takes up to $2 dispatch messages of namespaces $1 and claims their steps for worker $3,
-- for a lease of $4 ms.
SELECT * FROM claim_steps($1, $2, NULL, $3, $4)

-- The namespaces that are paused, and since when.
SELECT namespace,
    to_char(paused_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') AS paused_at
FROM paused_namespaces WHERE NOT is_resuming ORDER BY namespace

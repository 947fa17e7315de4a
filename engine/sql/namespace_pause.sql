-- Pauses a namespace: nothing of it is claimed from now on.
INSERT INTO paused_namespaces (namespace) VALUES ($1)
ON CONFLICT (namespace) DO UPDATE SET is_resuming = false

-- Lets the steps of a namespace be claimed again; resume_namespaces must follow.
UPDATE paused_namespaces SET is_resuming = true WHERE namespace = $1

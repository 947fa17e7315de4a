-- Sends the messages of namespaces that are resuming anew; see resume_namespaces.
SELECT resume_namespaces($1::message_broker)

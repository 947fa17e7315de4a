-- The two queues, as PGMQ's own tables (PGMQ's SQL is installed before this runs), and the outbox
-- that stands in for them when the messages travel by RabbitMQ.

CREATE TYPE message_broker AS ENUM ('pgmq', 'rabbitmq');

-- One dispatch queue for all namespaces, taken from by namespace and priority over an index of its
-- own: every statement is static, and a worker of many namespaces takes from them all at once.
DO $$
BEGIN
    PERFORM pgmq.create('stepmark_dispatch');
    PERFORM pgmq.create('stepmark_completions');
END $$;
CREATE INDEX q_stepmark_dispatch_namespace ON pgmq.q_stepmark_dispatch
    ((message ->> 'namespace'), ((message ->> 'priority')::integer) DESC, msg_id);
-- PGMQ's own reading functions look for visible messages by this; nothing here does.
DROP INDEX pgmq.q_stepmark_dispatch_vt_idx;
DROP INDEX pgmq.q_stepmark_completions_vt_idx;
-- A queue's table is all churn: vacuum by count of dead rows, not by a share of the live ones.
ALTER TABLE pgmq.q_stepmark_dispatch SET (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);
ALTER TABLE pgmq.q_stepmark_completions SET (
    autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

-- Messages for RabbitMQ that the broker has not confirmed yet. The row is written with the state
-- change, the message is published after the commit, the row goes once the broker has confirmed.
-- The id is random, because a crash takes back the numbers of a sequence with the commits that
-- nobody waited for: what was confirmed of a number's first message would remove its second.
CREATE TABLE message_outbox (
    message_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    queue      text NOT NULL,
    priority   smallint NOT NULL,
    body       jsonb NOT NULL,
    sent_at    timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

-- Namespaces of which nothing is claimed. What is claimed again while one is resuming may have no
-- message any more, because claiming it in vain has taken that: resume_namespaces sends them anew.
CREATE TABLE paused_namespaces (
    namespace   text PRIMARY KEY,
    paused_at   timestamptz NOT NULL DEFAULT now(),
    is_resuming boolean NOT NULL DEFAULT false
);

-- What a phase has to publish after its commit; all arrays NULL on PGMQ.
CREATE TYPE outgoing_messages AS (
    message_ids uuid[], queues text[], priorities smallint[], bodies text[]);

-- Hands dispatch messages for steps that have just been enqueued to the transport, in the same
-- transaction as the state change. An element without a namespace is no such step.
CREATE FUNCTION send_dispatches(
    p_broker message_broker, p_step_ids bigint[], p_namespaces text[], p_priorities smallint[]
) RETURNS outgoing_messages LANGUAGE plpgsql AS $$
DECLARE
    called text;
    last_called text := '';
    told text;
    outgoing outgoing_messages;
BEGIN
    IF p_broker = 'pgmq' THEN
        INSERT INTO pgmq.q_stepmark_dispatch (vt, message)
        SELECT now(), jsonb_build_object(
            'namespace', d.namespace, 'priority', d.priority, 'step_id', d.step_id)
        FROM (
            SELECT unnest(p_step_ids) AS step_id, unnest(p_namespaces) AS namespace,
                unnest(p_priorities) AS priority
        ) AS d
        WHERE d.namespace IS NOT NULL;
        FOREACH called IN ARRAY p_namespaces LOOP
            CONTINUE WHEN called IS NULL OR called = last_called;
            told := pg_notify('stepmark_dispatch', called);
            last_called := called;
        END LOOP;
    ELSE
        WITH written AS (
            INSERT INTO message_outbox (queue, priority, body)
            SELECT 'dispatch.' || d.namespace, d.priority, jsonb_build_object('step_id', d.step_id)
            FROM unnest(p_step_ids, p_namespaces, p_priorities)
                AS d (step_id, namespace, priority)
            WHERE d.namespace IS NOT NULL
            RETURNING message_id, queue, priority, body
        )
        SELECT array_agg(message_id), array_agg(queue), array_agg(priority), array_agg(body::text)
        INTO outgoing FROM written;
    END IF;
    RETURN outgoing;
END $$;

-- Hands completion messages for steps whose outcome has just been stored to the transport.
CREATE FUNCTION send_completions(p_broker message_broker, p_step_ids bigint[])
RETURNS outgoing_messages LANGUAGE plpgsql AS $$
DECLARE
    told text;
    outgoing outgoing_messages;
BEGIN
    IF p_broker = 'pgmq' THEN
        INSERT INTO pgmq.q_stepmark_completions (vt, message)
        SELECT now(), jsonb_build_object('step_id', c.step_id)
        FROM (SELECT unnest(p_step_ids) AS step_id) AS c;
        told := pg_notify('stepmark_completions', '');
    ELSE
        WITH written AS (
            INSERT INTO message_outbox (queue, priority, body)
            SELECT 'completions', 0, jsonb_build_object('step_id', c.step_id)
            FROM unnest(p_step_ids) AS c (step_id)
            RETURNING message_id, queue, priority, body
        )
        SELECT array_agg(message_id), array_agg(queue), array_agg(priority), array_agg(body::text)
        INTO outgoing FROM written;
    END IF;
    RETURN outgoing;
END $$;

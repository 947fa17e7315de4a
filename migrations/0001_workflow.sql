-- Templates, tasks, steps and their audit. Every name here is the specification's own.
-- The engine's sessions run with search_path = stepmark, public; the schema exists before this.

CREATE TYPE step_state AS ENUM (
    'Pending', 'Enqueued', 'InProgress', 'EnqueuedForOrchestration', 'WaitingForRetry',
    'Complete', 'Error', 'Skipped', 'Cancelled');
CREATE TYPE task_state AS ENUM (
    'Pending', 'Initializing', 'EnqueuingSteps', 'StepsInProcess', 'EvaluatingResults',
    'WaitingForRetry', 'Complete', 'Error', 'Cancelled');
CREATE TYPE step_type AS ENUM (
    'standard', 'decision', 'deferred_convergence', 'batchable', 'batch_worker');
-- What a handler made of its step; decided on by the orchestrator.
CREATE TYPE step_outcome AS ENUM ('Complete', 'Branch', 'FanOut', 'Retry', 'Fail');
CREATE TYPE failure_strategy AS ENUM ('fail_fast', 'continue_on_failure');

-- A definition is stored once, by the hash of its content, and never changed: a running task keeps
-- the one that it started with.
CREATE TABLE task_templates (
    template_id  integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    namespace    text NOT NULL CHECK (namespace ~ '^[a-z][a-z0-9_]{0,62}$'),
    name         text NOT NULL CHECK (name ~ '^[a-z][a-z0-9_]{0,62}$'),
    version      integer NOT NULL CHECK (version >= 1),
    content_hash text NOT NULL UNIQUE,
    definition   jsonb NOT NULL,
    deadline_ms  bigint CHECK (deadline_ms >= 1),
    steps        integer NOT NULL CHECK (steps >= 1),
    roots        integer NOT NULL CHECK (roots BETWEEN 1 AND steps),
    created_at   timestamptz NOT NULL DEFAULT now()
);

-- The definition's steps as rows, so that creating a task is one INSERT … SELECT. steps above
-- counts those that a new task has: all but the batch workers, which come last and stand for the
-- steps that are made at run time. parents and children are a new task's, where a batchable step
-- stands in for its workers (placeholders); a batch worker's children are each instance's.
CREATE TABLE template_steps (
    template_id        integer NOT NULL REFERENCES task_templates,
    step_no            integer NOT NULL CHECK (step_no >= 0),
    name               text NOT NULL,
    type               step_type NOT NULL,
    handler            text NOT NULL,
    max_attempts       integer NOT NULL CHECK (max_attempts >= 1),
    backoff_initial_ms bigint NOT NULL CHECK (backoff_initial_ms >= 0),
    backoff_max_ms     bigint NOT NULL CHECK (backoff_max_ms >= backoff_initial_ms),
    timeout_ms         bigint NOT NULL CHECK (timeout_ms >= 1),
    parents            integer[] NOT NULL,
    placeholders       integer[] NOT NULL,
    children           integer[] NOT NULL,
    branches           integer[] NOT NULL,
    worker             integer,
    batches_max        integer NOT NULL CHECK (batches_max >= 1),
    on_failure         failure_strategy NOT NULL,
    PRIMARY KEY (template_id, step_no),
    UNIQUE (template_id, name)
);

-- The four counters are what evaluation needs to know of a task's other steps; they change only
-- under the lock of the task's row. No foreign key to the template: checking it would lock the
-- template's row once a task, and templates are never deleted. due_at is when time has something
-- to do with the task: its delayed start, and then its deadline.
CREATE TABLE tasks (
    task_id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    task_uuid        uuid NOT NULL UNIQUE,
    template_id      integer NOT NULL,
    state            task_state NOT NULL,
    transition_count integer NOT NULL,
    steps_active     integer NOT NULL,
    steps_waiting    integer NOT NULL DEFAULT 0,
    steps_failed     integer NOT NULL DEFAULT 0,
    steps_unfinished integer NOT NULL,
    priority         smallint NOT NULL,
    created_at       timestamptz NOT NULL DEFAULT now(),
    namespace        text NOT NULL,
    idempotency_key  text,
    delay_ms         bigint,
    deadline_ms      bigint,
    due_at           timestamptz,
    finished_at      timestamptz,
    failed_at        timestamptz,
    reason           text,
    context          jsonb NOT NULL
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX tasks_idempotency ON tasks (namespace, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
-- Discovery, recovery and back-pressure look at unfinished tasks only, whatever lies behind them.
-- None of these covers what an ordinary evaluation changes, so that its updates stay HOT.
CREATE INDEX tasks_active ON tasks (task_id) WHERE finished_at IS NULL;
CREATE INDEX tasks_waiting ON tasks (task_id) WHERE steps_waiting > 0;
CREATE INDEX tasks_due ON tasks (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX tasks_failed ON tasks (task_id) WHERE failed_at IS NOT NULL;

-- step_id is the task's id, shifted by 16 bits, and the step's number in it: one key to find, lock
-- and join a step by, and a task's steps lie side by side. A step's edges stand on its own row, as
-- keys: evaluating a completion touches the children's rows and nothing else. So does what its
-- template says of it. No index on the state, so that updates stay HOT.
-- is_held_back: claimed, and its handler not begun yet (see begin_step).
-- parents_remaining: parents that have not ended in a way that the step can go on from; of these
-- ends, parents_skipped and parents_failed count those that only a convergence goes on from.
-- input: a batch worker's batch. expansion: what a decision has chosen (names), what a batchable
-- step has made (inputs). checkpoint: how far an earlier attempt has come.
-- rests_on: the log position past its parents' results, where they may not be on disk yet.
CREATE TABLE workflow_steps (
    step_id            bigint PRIMARY KEY,
    backoff_initial_ms bigint NOT NULL,
    backoff_max_ms     bigint NOT NULL,
    timeout_ms         bigint NOT NULL,
    state              step_state NOT NULL DEFAULT 'Pending',
    type               step_type NOT NULL DEFAULT 'standard',
    transition_count   integer NOT NULL DEFAULT 0,
    parents_remaining  integer NOT NULL,
    parents_skipped    integer NOT NULL DEFAULT 0,
    parents_failed     integer NOT NULL DEFAULT 0,
    attempts           integer NOT NULL DEFAULT 0,
    max_attempts       integer NOT NULL,
    lease_expiries     integer NOT NULL DEFAULT 0,
    is_held_back       boolean NOT NULL DEFAULT false,
    template_step_no   integer NOT NULL,
    priority           smallint NOT NULL,
    namespace          text NOT NULL,
    name               text NOT NULL,
    handler            text NOT NULL,
    parents            bigint[] NOT NULL,
    children           bigint[] NOT NULL,
    claim_token        uuid,
    claimed_by         text,
    lease_expires_at   timestamptz,
    timeout_at         timestamptz,
    retry_at           timestamptz,
    rests_on           pg_lsn,
    outcome            step_outcome,
    retry_after_ms     bigint,
    input              jsonb,
    expansion          jsonb,
    checkpoint         jsonb,
    result             jsonb,
    error              jsonb
) WITH (fillfactor = 50);
-- A thousand parents are not compressed and copied at each countdown: they lie beside the row.
ALTER TABLE workflow_steps
    ALTER COLUMN parents SET STORAGE EXTERNAL, ALTER COLUMN children SET STORAGE EXTERNAL;

CREATE VIEW workflow_step_edges AS
    SELECT p.from_step, s.step_id AS to_step
    FROM workflow_steps s, unnest(s.parents) AS p (from_step);

-- The audit: append-only, one row a state change, numbered from 1 without gaps.
CREATE TABLE workflow_step_transitions (
    step_id    bigint NOT NULL,
    sort_key   integer NOT NULL,
    from_state step_state NOT NULL,
    to_state   step_state NOT NULL,
    attempt    integer NOT NULL,
    reason     text,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (step_id, sort_key)
);

CREATE TABLE task_transitions (
    task_id    bigint NOT NULL,
    sort_key   integer NOT NULL,
    from_state task_state NOT NULL,
    to_state   task_state NOT NULL,
    reason     text,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (task_id, sort_key)
);

CREATE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit rows of % are never updated', TG_TABLE_NAME;
END $$;
CREATE TRIGGER append_only BEFORE UPDATE ON workflow_step_transitions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();
CREATE TRIGGER append_only BEFORE UPDATE ON task_transitions
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change();

-- What must hold of every row, whoever writes it. The guards in the statements see to it; these
-- checks catch a statement that lacks one. They cost a tenth of a step's time, so they are not
-- there from the start: enforce_checks() adds them. All tests run with them.
CREATE FUNCTION step_transition_allowed(p_from step_state, p_to step_state) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN CASE p_from
    WHEN 'Pending' THEN p_to IN ('Enqueued', 'Skipped', 'Cancelled')
    WHEN 'Enqueued' THEN p_to IN ('InProgress', 'Cancelled')
    WHEN 'InProgress' THEN
        p_to IN ('EnqueuedForOrchestration', 'Enqueued', 'Error', 'Cancelled')
    WHEN 'EnqueuedForOrchestration' THEN
        p_to IN ('Complete', 'WaitingForRetry', 'Error', 'Cancelled')
    WHEN 'WaitingForRetry' THEN p_to IN ('Enqueued', 'Cancelled')
    WHEN 'Error' THEN p_to = 'Pending'
    ELSE false END;
END $$;

CREATE FUNCTION task_transition_allowed(p_from task_state, p_to task_state) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN CASE p_from
    WHEN 'Pending' THEN p_to IN ('Initializing', 'Cancelled')
    WHEN 'Initializing' THEN p_to IN ('EnqueuingSteps', 'Cancelled')
    WHEN 'EnqueuingSteps' THEN p_to IN ('StepsInProcess', 'Cancelled')
    WHEN 'StepsInProcess' THEN p_to IN ('EvaluatingResults', 'Cancelled')
    WHEN 'EvaluatingResults' THEN
        p_to IN ('EnqueuingSteps', 'StepsInProcess', 'WaitingForRetry', 'Complete',
            'Error', 'Cancelled')
    WHEN 'WaitingForRetry' THEN p_to IN ('EnqueuingSteps', 'Cancelled')
    WHEN 'Error' THEN p_to IN ('EnqueuingSteps', 'Cancelled')
    ELSE false END;
END $$;

CREATE FUNCTION task_is_sound(
    p_state task_state, p_finished boolean, p_has_failed boolean, p_due boolean, p_active integer,
    p_waiting integer, p_failed integer, p_unfinished integer
) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN p_finished = (p_state IN ('Complete', 'Error', 'Cancelled'))
        AND p_has_failed = (p_state = 'Error')
        AND NOT (p_finished AND p_due)
        AND (p_state <> 'Complete' OR p_unfinished = 0 AND p_failed = 0)
        AND least(p_active, p_waiting, p_failed, p_unfinished) >= 0;
END $$;

CREATE FUNCTION step_is_sound(
    p_state step_state, p_parents_remaining integer, p_attempts integer, p_max_attempts integer,
    p_claimed boolean, p_outcome step_outcome, p_retry boolean
) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN p_attempts BETWEEN 0 AND p_max_attempts
        AND p_parents_remaining >= 0
        AND (p_parents_remaining = 0 OR p_state IN ('Pending', 'Skipped', 'Cancelled'))
        AND (p_claimed OR p_state <> 'InProgress')
        AND (p_outcome IS NOT NULL OR p_state <> 'EnqueuedForOrchestration')
        AND (p_retry OR p_state <> 'WaitingForRetry');
END $$;

CREATE FUNCTION enforce_checks() RETURNS void LANGUAGE plpgsql
SET search_path = stepmark AS $$
BEGIN
    ALTER TABLE tasks ADD CONSTRAINT task_sound CHECK (task_is_sound(state,
        finished_at IS NOT NULL, failed_at IS NOT NULL, due_at IS NOT NULL,
        steps_active, steps_waiting, steps_failed, steps_unfinished));
    ALTER TABLE workflow_steps ADD CONSTRAINT step_sound CHECK (step_is_sound(state,
        parents_remaining, attempts, max_attempts,
        claim_token IS NOT NULL AND lease_expires_at IS NOT NULL
            AND (timeout_at IS NOT NULL OR is_held_back),
        outcome, retry_at IS NOT NULL));
    ALTER TABLE workflow_step_transitions ADD CONSTRAINT step_transition_allowed
        CHECK (step_transition_allowed(from_state, to_state));
    ALTER TABLE task_transitions ADD CONSTRAINT task_transition_allowed
        CHECK (task_transition_allowed(from_state, to_state));
END $$;

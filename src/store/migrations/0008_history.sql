-- History (D12): the rows of a run that was finished for long enough leave the tables that a restart
-- reads, in transactions of at most 5,000 rows, for tables of the same shape keyed by run. The
-- run's own row, its blocks, the totals, constants and verdicts stay. Same rules as in
-- 0001_ledger.sql.

CREATE TABLE file_history (
    agent BIGINT NOT NULL,
    id BIGINT NOT NULL,
    profile VARCHAR(128) NOT NULL,
    name VARCHAR(512) NOT NULL,
    run BIGINT NOT NULL,
    lumi BIGINT NOT NULL,
    stream VARCHAR(128) NOT NULL,
    bytes BIGINT NOT NULL,
    events BIGINT NOT NULL,
    seen_us BIGINT NOT NULL,
    late BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (run, stream, id)
);
CREATE INDEX file_history_id ON file_history (id);
-- Whether a late file of the run is known.
CREATE INDEX file_history_name ON file_history (run, name);

CREATE TABLE lumi_history (
    agent BIGINT NOT NULL,
    run BIGINT NOT NULL,
    lumi BIGINT NOT NULL,
    ended_us BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (run, lumi)
);

CREATE TABLE witness_history (
    agent BIGINT NOT NULL,
    id BIGINT NOT NULL,
    run BIGINT NOT NULL,
    first_lumi BIGINT NOT NULL,
    last_lumi BIGINT NOT NULL,
    stream VARCHAR(128) NOT NULL,
    source VARCHAR(32) NOT NULL,
    instance BIGINT NOT NULL,
    at_us BIGINT NOT NULL,
    said_by VARCHAR(500) NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (run, id)
);

CREATE TABLE job_history (
    agent BIGINT NOT NULL,
    id BIGINT NOT NULL,
    run BIGINT NOT NULL,
    pipeline VARCHAR(128) NOT NULL,
    task VARCHAR(128) NOT NULL,
    state BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    deadline_us BIGINT,
    seen_us BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (run, id)
);
CREATE INDEX job_history_id ON job_history (id);
CREATE INDEX job_history_state ON job_history (state, id);

CREATE TABLE failed_attempt_history (
    agent BIGINT NOT NULL,
    run BIGINT NOT NULL,
    job BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    exit_class VARCHAR(32) NOT NULL,
    exit_code BIGINT,
    fingerprint VARCHAR(16),
    at_us BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (run, job, attempt)
);
CREATE INDEX failed_attempt_history_job ON failed_attempt_history (job, attempt);

CREATE TABLE consumed_history (
    agent BIGINT NOT NULL,
    pipeline VARCHAR(128) NOT NULL,
    task VARCHAR(128) NOT NULL,
    input_kind BIGINT NOT NULL,
    input BIGINT NOT NULL,
    first_event BIGINT NOT NULL,
    run BIGINT NOT NULL,
    job BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (run, input_kind, input, first_event, pipeline, task)
);
CREATE INDEX consumed_history_input ON consumed_history (input_kind, input);

CREATE TABLE output_history (
    agent BIGINT NOT NULL,
    id BIGINT NOT NULL,
    job BIGINT NOT NULL,
    label VARCHAR(128) NOT NULL,
    run BIGINT NOT NULL,
    pipeline VARCHAR(128) NOT NULL,
    task VARCHAR(128) NOT NULL,
    dataset VARCHAR(512) NOT NULL,
    name VARCHAR(512) NOT NULL,
    bytes BIGINT NOT NULL,
    events BIGINT NOT NULL,
    block BIGINT,
    committed_us BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (run, id)
);
CREATE INDEX output_history_id ON output_history (id);
CREATE INDEX output_history_job ON output_history (job, label);
CREATE INDEX output_history_dataset ON output_history (dataset, id);
CREATE INDEX output_history_block ON output_history (block, id);

-- What the jobs of runs that are history have used: estimates go on resting on it.
CREATE TABLE task_usage (
    agent BIGINT NOT NULL,
    pipeline VARCHAR(128) NOT NULL,
    task VARCHAR(128) NOT NULL,
    jobs BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (agent, pipeline, task)
);

-- A restart reads what is at work, at a cost that does not grow with what is history.
CREATE INDEX run_state ON run (agent, state, number);
CREATE INDEX alarm_standing ON alarm (agent, cleared_us);
-- Rows leave in an order that is their own, so this index takes the place of the one on runs alone.
CREATE INDEX consumed_run_input ON consumed (run, input, first_event);
DROP INDEX consumed_run ON consumed;

INSERT INTO state_name (object, state, word) VALUES
    ('run', 5, 'archiving'), ('run', 6, 'archived');

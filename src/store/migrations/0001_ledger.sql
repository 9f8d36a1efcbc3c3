-- Ledger and register, first issue.
--
-- Only what SQLite, MariaDB and PostgreSQL all take: BIGINT, VARCHAR and TEXT; times in
-- microseconds since 1970 UTC; no generated keys, no partial indexes. Texts compare byte by byte:
-- SQLite does so by itself; the others get it with the database (collation utf8mb4_bin, locale C),
-- where the names below fit into the longest index key.
--
-- Every row holds the whole value in `body` (JSON of the room `model`), which is what a restart
-- reads. The columns before it exist for keys, indexes and questions. `agent` is the agent that
-- wrote the row last.

CREATE TABLE agent (
    id BIGINT NOT NULL PRIMARY KEY,
    epoch BIGINT NOT NULL,
    last_batch BIGINT NOT NULL,
    next_id BIGINT,
    moment_us BIGINT NOT NULL
);

CREATE TABLE run (
    agent BIGINT NOT NULL,
    number BIGINT NOT NULL PRIMARY KEY,
    run_type VARCHAR(32) NOT NULL,
    label VARCHAR(32) NOT NULL,
    state BIGINT NOT NULL,
    last_lumi BIGINT,
    opened_us BIGINT NOT NULL,
    body TEXT NOT NULL
);

CREATE TABLE lumi (
    agent BIGINT NOT NULL,
    run BIGINT NOT NULL,
    lumi BIGINT NOT NULL,
    ended_us BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (run, lumi)
);

CREATE TABLE file (
    agent BIGINT NOT NULL,
    id BIGINT NOT NULL PRIMARY KEY,
    profile VARCHAR(128) NOT NULL,
    name VARCHAR(512) NOT NULL,
    run BIGINT NOT NULL,
    lumi BIGINT NOT NULL,
    stream VARCHAR(128) NOT NULL,
    bytes BIGINT NOT NULL,
    events BIGINT NOT NULL,
    seen_us BIGINT NOT NULL,
    body TEXT NOT NULL
);
-- Identity of a file (D10).
CREATE UNIQUE INDEX file_name ON file (profile, name);
CREATE INDEX file_run ON file (run, id);

CREATE TABLE set_aside (
    agent BIGINT NOT NULL,
    profile VARCHAR(128) NOT NULL,
    name VARCHAR(512) NOT NULL,
    refusal VARCHAR(32) NOT NULL,
    at_us BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (profile, name)
);

CREATE TABLE job (
    agent BIGINT NOT NULL,
    id BIGINT NOT NULL PRIMARY KEY,
    run BIGINT NOT NULL,
    pipeline VARCHAR(128) NOT NULL,
    task VARCHAR(128) NOT NULL,
    state BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    deadline_us BIGINT,
    seen_us BIGINT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX job_run ON job (run, id);
CREATE INDEX job_state ON job (state, id);

-- The row that makes splitting exactly-once (D10): one job for each input of a task, for ever.
CREATE TABLE consumed (
    agent BIGINT NOT NULL,
    pipeline VARCHAR(128) NOT NULL,
    task VARCHAR(128) NOT NULL,
    input_kind BIGINT NOT NULL,
    input BIGINT NOT NULL,
    run BIGINT NOT NULL,
    job BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (pipeline, task, input_kind, input)
);
CREATE INDEX consumed_run ON consumed (run);

CREATE TABLE failed_attempt (
    agent BIGINT NOT NULL,
    job BIGINT NOT NULL,
    attempt BIGINT NOT NULL,
    exit_class VARCHAR(32) NOT NULL,
    at_us BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (job, attempt)
);

CREATE TABLE output (
    agent BIGINT NOT NULL,
    id BIGINT NOT NULL PRIMARY KEY,
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
    body TEXT NOT NULL
);
-- One winner for each job (D9).
CREATE UNIQUE INDEX output_job ON output (job, label);
CREATE INDEX output_run ON output (run, id);

CREATE TABLE block (
    agent BIGINT NOT NULL,
    id BIGINT NOT NULL PRIMARY KEY,
    run BIGINT NOT NULL,
    dataset VARCHAR(512) NOT NULL,
    state BIGINT NOT NULL,
    files BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    events BIGINT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX block_run ON block (run, id);

CREATE TABLE decision (
    agent BIGINT NOT NULL,
    tag VARCHAR(128) NOT NULL,
    run BIGINT NOT NULL,
    outcome VARCHAR(32) NOT NULL,
    at_us BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (tag, run)
);

-- The sequence belongs to the key: a later row with the same `since` replaces the earlier one when
-- it is read, while the earlier one stays, so that a snapshot of the past can be taken.
CREATE TABLE iov (
    agent BIGINT NOT NULL,
    tag VARCHAR(128) NOT NULL,
    since BIGINT NOT NULL,
    sequence BIGINT NOT NULL,
    hash VARCHAR(64) NOT NULL,
    inserted_us BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (tag, since, sequence)
);

CREATE TABLE payload (
    agent BIGINT NOT NULL,
    hash VARCHAR(64) NOT NULL PRIMARY KEY,
    bytes BIGINT NOT NULL,
    body TEXT NOT NULL
);

CREATE TABLE quality (
    agent BIGINT NOT NULL,
    run BIGINT NOT NULL PRIMARY KEY,
    verdict VARCHAR(32) NOT NULL,
    at_us BIGINT NOT NULL,
    body TEXT NOT NULL
);

CREATE TABLE alarm (
    agent BIGINT NOT NULL,
    alarm_key VARCHAR(700) NOT NULL,
    severity BIGINT NOT NULL,
    raised_us BIGINT NOT NULL,
    cleared_us BIGINT,
    body TEXT NOT NULL,
    PRIMARY KEY (agent, alarm_key)
);

-- The outbox: what the outside shall hear, written with what it speaks of.
CREATE TABLE message (
    agent BIGINT NOT NULL,
    id BIGINT NOT NULL PRIMARY KEY,
    kind VARCHAR(128) NOT NULL,
    run BIGINT NOT NULL,
    subject VARCHAR(700) NOT NULL,
    at_us BIGINT NOT NULL,
    body TEXT NOT NULL
);

-- The words behind the small numbers, for whoever asks in SQL. The room's states.rs gives the
-- numbers; a test compares.
CREATE TABLE state_name (
    object VARCHAR(32) NOT NULL,
    state BIGINT NOT NULL,
    word VARCHAR(32) NOT NULL,
    PRIMARY KEY (object, state)
);
INSERT INTO state_name (object, state, word) VALUES
    ('run', 1, 'open'), ('run', 2, 'ending'), ('run', 3, 'closed'), ('run', 4, 'finished'),
    ('job', 1, 'ready'), ('job', 2, 'sent'), ('job', 3, 'running'), ('job', 4, 'committing'),
    ('job', 5, 'done'), ('job', 6, 'failed'),
    ('block', 1, 'open'), ('block', 2, 'closed'),
    ('severity', 1, 'high'), ('severity', 2, 'medium'), ('severity', 3, 'low'),
    ('input', 1, 'file'), ('input', 2, 'output');

CREATE VIEW run_named AS
    SELECT run.*, state_name.word AS state_word FROM run
    JOIN state_name ON state_name.object = 'run' AND state_name.state = run.state;
CREATE VIEW job_named AS
    SELECT job.*, state_name.word AS state_word FROM job
    JOIN state_name ON state_name.object = 'job' AND state_name.state = job.state;
CREATE VIEW block_named AS
    SELECT block.*, state_name.word AS state_word FROM block
    JOIN state_name ON state_name.object = 'block' AND state_name.state = block.state;

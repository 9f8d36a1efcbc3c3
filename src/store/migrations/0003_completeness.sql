-- Completeness: who said how much a lumi holds and when a run ends, and who asked for what. Same
-- rules as in 0001_ledger.sql. The table `lumi` of the first version is read, and no longer written.

-- One statement a row: by a record, a message, a program, a person, a time-out. `stream` is empty
-- for what is said of every stream; both lumis are 0 for the end of a run.
CREATE TABLE witness (
    agent BIGINT NOT NULL,
    id BIGINT NOT NULL PRIMARY KEY,
    run BIGINT NOT NULL,
    first_lumi BIGINT NOT NULL,
    last_lumi BIGINT NOT NULL,
    stream VARCHAR(128) NOT NULL,
    source VARCHAR(32) NOT NULL,
    instance BIGINT NOT NULL,
    at_us BIGINT NOT NULL,
    said_by VARCHAR(500) NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX witness_run ON witness (run, id);

-- What people and programs did: one row an act, never changed.
CREATE TABLE audit (
    agent BIGINT NOT NULL,
    id BIGINT NOT NULL PRIMARY KEY,
    at_us BIGINT NOT NULL,
    asked_by VARCHAR(500) NOT NULL,
    verb VARCHAR(32) NOT NULL,
    object VARCHAR(700) NOT NULL,
    body TEXT NOT NULL
);

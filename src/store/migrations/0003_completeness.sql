-- Who asked for what. Same rules as in 0001_ledger.sql.

-- What people and programs did: one row an act, never changed.
CREATE TABLE audit (
    agent BIGINT NOT NULL,
    id BIGINT NOT NULL PRIMARY KEY,
    at_us BIGINT NOT NULL,
    asked_by VARCHAR(128) NOT NULL,
    verb VARCHAR(32) NOT NULL,
    object VARCHAR(700) NOT NULL,
    body TEXT NOT NULL
);

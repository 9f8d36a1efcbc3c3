-- What runs were opened with, by hash: a run names it, and a restart reads it again.
CREATE TABLE configuration (
    agent BIGINT NOT NULL,
    hash VARCHAR(64) NOT NULL PRIMARY KEY,
    taken_us BIGINT NOT NULL,
    body TEXT NOT NULL
);

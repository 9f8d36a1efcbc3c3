-- Tags of the conditions that somebody made. A tag without a row is one that a task measures: its
-- intervals come from the calibration loop.

CREATE TABLE conditions_tag (
    agent BIGINT NOT NULL,
    name VARCHAR(128) NOT NULL PRIMARY KEY,
    synchronisation VARCHAR(32) NOT NULL,
    inserted_us BIGINT NOT NULL,
    body TEXT NOT NULL
);

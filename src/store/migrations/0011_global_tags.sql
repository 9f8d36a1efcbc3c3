-- Global tags: one tag of the conditions for each record, as of a moment. A row never changes.

CREATE TABLE global_tag (
    agent BIGINT NOT NULL,
    name VARCHAR(128) NOT NULL PRIMARY KEY,
    inserted_us BIGINT NOT NULL,
    body TEXT NOT NULL
);

-- Safe release of sources: how far each file of the detector is on its way to removal, and what
-- every step rests on. A file without a row has landed.

CREATE TABLE source_release (
    agent BIGINT NOT NULL,
    file BIGINT NOT NULL PRIMARY KEY,
    run BIGINT NOT NULL,
    state BIGINT NOT NULL,
    steps BIGINT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX source_release_run ON source_release (run, state);

CREATE TABLE source_evidence (
    agent BIGINT NOT NULL,
    file BIGINT NOT NULL,
    step BIGINT NOT NULL,
    run BIGINT NOT NULL,
    place BIGINT,
    at_us BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (file, step)
);
CREATE INDEX source_evidence_run ON source_evidence (run);

INSERT INTO state_name (object, state, word) VALUES
    ('source', 1, 'landed'), ('source', 2, 'copied'), ('source', 3, 'verified'),
    ('source', 4, 'copied-twice'), ('source', 5, 'verified-twice'), ('source', 6, 'soaked'),
    ('source', 7, 'released'), ('source', 8, 'unlinked'), ('source', 9, 'lost'),
    ('source', 10, 'given-up');

CREATE VIEW source_release_named AS
    SELECT source_release.*, state_name.word AS state_word FROM source_release
    JOIN state_name ON state_name.object = 'source' AND state_name.state = source_release.state;

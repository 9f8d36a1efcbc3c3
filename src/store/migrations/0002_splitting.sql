-- Parts of one input may go to several jobs: where a part begins joins the key of the row that makes
-- splitting exactly-once (D10). Rows from before are of whole inputs, which begin at 0.

CREATE TABLE consumed_parts (
    agent BIGINT NOT NULL,
    pipeline VARCHAR(128) NOT NULL,
    task VARCHAR(128) NOT NULL,
    input_kind BIGINT NOT NULL,
    input BIGINT NOT NULL,
    first_event BIGINT NOT NULL,
    run BIGINT NOT NULL,
    job BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (pipeline, task, input_kind, input, first_event)
);
INSERT INTO consumed_parts
    (agent, pipeline, task, input_kind, input, first_event, run, job, body)
    SELECT agent, pipeline, task, input_kind, input, 0, run, job, body FROM consumed;
DROP TABLE consumed;
ALTER TABLE consumed_parts RENAME TO consumed;
CREATE INDEX consumed_run ON consumed (run);

-- Datasets and what they hold: totals of closed blocks as rows (D12), so that no question adds up
-- everything; indexes for lineage. Blocks of before count as they are read by the agent: a dataset
-- gets its row with the next block.

CREATE TABLE dataset (
    agent BIGINT NOT NULL,
    name VARCHAR(512) NOT NULL,
    primary_name VARCHAR(128) NOT NULL,
    processed VARCHAR(128) NOT NULL,
    tier VARCHAR(128) NOT NULL,
    label VARCHAR(32) NOT NULL,
    pipeline VARCHAR(128) NOT NULL,
    task VARCHAR(128) NOT NULL,
    runs BIGINT NOT NULL,
    blocks BIGINT NOT NULL,
    files BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    events BIGINT NOT NULL,
    lumis BIGINT NOT NULL,
    duplicate_lumis BIGINT NOT NULL,
    created_us BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (agent, name)
);
CREATE INDEX dataset_name ON dataset (name);

CREATE TABLE lumi_content (
    agent BIGINT NOT NULL,
    dataset VARCHAR(512) NOT NULL,
    run BIGINT NOT NULL,
    blocks BIGINT NOT NULL,
    files BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    events BIGINT NOT NULL,
    lumis BIGINT NOT NULL,
    duplicate_lumis BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (agent, dataset, run)
);
CREATE INDEX lumi_content_dataset ON lumi_content (dataset, run);
CREATE INDEX lumi_content_run ON lumi_content (run);

ALTER TABLE file ADD COLUMN late BIGINT NOT NULL DEFAULT 0;
UPDATE file SET late = 1 WHERE body LIKE '%"late":true%';

CREATE INDEX output_dataset ON output (dataset, id);
CREATE INDEX output_block ON output (block, id);
CREATE INDEX block_state ON block (state, dataset);
CREATE INDEX block_dataset ON block (dataset, id);
CREATE INDEX consumed_input ON consumed (input_kind, input);

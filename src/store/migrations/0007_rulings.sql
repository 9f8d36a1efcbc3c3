-- What people have ruled on the work of a task; run 0 stands for every run.

CREATE TABLE ruling (
    agent BIGINT NOT NULL,
    pipeline VARCHAR(128) NOT NULL,
    task VARCHAR(128) NOT NULL,
    run BIGINT NOT NULL,
    kind VARCHAR(32) NOT NULL,
    at_us BIGINT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (pipeline, task, run)
);

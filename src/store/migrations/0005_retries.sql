-- Retries: what attempts failed of, so that failures can be counted by cause, and the states that a
-- person or a policy may bring a job to.

ALTER TABLE failed_attempt ADD COLUMN exit_code BIGINT;
-- 16 hex digits; none in rows of older versions.
ALTER TABLE failed_attempt ADD COLUMN fingerprint VARCHAR(16);
CREATE INDEX failed_attempt_cause ON failed_attempt (fingerprint, at_us);

INSERT INTO state_name (object, state, word) VALUES
    ('job', 7, 'parked'), ('job', 8, 'superseded'), ('job', 9, 'cancelled');

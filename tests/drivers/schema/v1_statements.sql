-- The statements of the driver of version 1, on SQLite: dispatch, claim, settle and let go.

-- insert_record
INSERT INTO job_records (id, name, queue, rank, isolation, payload, options, tenant, user_id, locale, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- insert_ready
INSERT INTO job_ready (id, queue, isolation, rank, attempts, exceptions, crashes) VALUES (?, ?, ?, ?, ?, ?, ?);

-- insert_waiting
INSERT INTO job_waiting (id, queue, isolation, rank, attempts, exceptions, crashes, due_at, blockers) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- next_due
SELECT min(job_waiting.due_at) AS min_1
FROM job_waiting
WHERE job_waiting.blockers = 0;

-- due
SELECT job_waiting.id, job_waiting.queue, job_waiting.isolation, job_waiting.rank, job_waiting.attempts, job_waiting.exceptions, job_waiting.crashes
FROM job_waiting
WHERE job_waiting.blockers = 0 AND job_waiting.due_at <= ? ORDER BY job_waiting.due_at, job_waiting.id
 LIMIT ? OFFSET 0;

-- delete_waiting
DELETE FROM job_waiting WHERE job_waiting.id = ?;

-- peek
SELECT job_ready.seq
FROM job_ready
WHERE job_ready.queue = ? AND job_ready.isolation = ? AND job_ready.token IS NULL
 LIMIT 1 OFFSET 0;

-- candidates
SELECT job_ready.seq, job_ready.id, job_records.name, job_records.payload, job_records.created_at, job_ready.attempts, job_ready.exceptions, job_ready.crashes, job_records.options, job_records.tenant, job_records.user_id, job_records.locale
FROM job_ready JOIN job_records ON job_ready.id = job_records.id
WHERE job_ready.queue = ? AND job_ready.isolation = ? AND job_ready.token IS NULL ORDER BY job_ready.rank, job_ready.seq
 LIMIT ? OFFSET 0;

-- take
UPDATE job_ready SET token=?, worker=?, claimed_at=? WHERE job_ready.seq = ?;

-- marked
SELECT job_ready.cancelling, job_ready.attempts
FROM job_ready
WHERE job_ready.id = ? AND job_ready.token = ?;

-- delete_ready
DELETE FROM job_ready WHERE job_ready.id = ? AND job_ready.token = ?;

-- insert_outcome
INSERT INTO job_outcomes (id, attempt, token, ending, worker, started_at, ended_at, error, result) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

-- settled
SELECT job_outcomes.seq
FROM job_outcomes
WHERE job_outcomes.id = ? AND job_outcomes.token = ?;

-- by_worker
SELECT job_ready.seq, job_ready.id, job_ready.cancelling
FROM job_ready
WHERE job_ready.token IS NOT NULL AND job_ready.worker = ?;

-- let_go
UPDATE job_ready SET token=NULL, worker=NULL, claimed_at=NULL WHERE job_ready.seq = ?;

-- insert_progress
INSERT INTO job_progress (id, done, total, unit, message, warnings) VALUES (?, ?, ?, ?, ?, ?);

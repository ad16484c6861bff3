CREATE TABLE IF NOT EXISTS tabur_schema (
	version INTEGER NOT NULL,
	applied_at BIGINT NOT NULL,
	PRIMARY KEY (version)
);
CREATE TABLE IF NOT EXISTS job_attachments (
	id BLOB NOT NULL,
	n INTEGER NOT NULL,
	name VARCHAR(255) NOT NULL,
	size BIGINT NOT NULL,
	media_type VARCHAR(200) NOT NULL,
	path VARCHAR(500) NOT NULL,
	PRIMARY KEY (id, n)
);
CREATE TABLE IF NOT EXISTS job_cursors (
	id BLOB NOT NULL,
	cursor BLOB NOT NULL,
	PRIMARY KEY (id)
)
 WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS job_outcomes (
	seq INTEGER NOT NULL,
	id BLOB NOT NULL,
	attempt INTEGER NOT NULL,
	token BLOB,
	ending VARCHAR(10) NOT NULL,
	worker VARCHAR(40),
	started_at BIGINT,
	ended_at BIGINT NOT NULL,
	error TEXT,
	result BLOB,
	PRIMARY KEY (seq)
);
CREATE INDEX IF NOT EXISTS job_outcomes_failed ON job_outcomes (id) WHERE ending = 'failed';
CREATE INDEX IF NOT EXISTS job_outcomes_job ON job_outcomes (id);
CREATE TABLE IF NOT EXISTS job_pauses (
	queue VARCHAR(200) NOT NULL,
	since BIGINT NOT NULL,
	until BIGINT,
	reason TEXT,
	PRIMARY KEY (queue)
);
CREATE TABLE IF NOT EXISTS job_progress (
	id BLOB NOT NULL,
	done BIGINT NOT NULL,
	total BIGINT,
	unit VARCHAR(40),
	message VARCHAR(500),
	warnings BIGINT NOT NULL,
	PRIMARY KEY (id)
)
 WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS job_ready (
	seq INTEGER NOT NULL,
	id BLOB NOT NULL,
	queue VARCHAR(200) NOT NULL,
	isolation VARCHAR(10) NOT NULL,
	rank INTEGER NOT NULL,
	attempts INTEGER NOT NULL,
	exceptions INTEGER NOT NULL,
	crashes INTEGER NOT NULL,
	token BLOB,
	worker VARCHAR(40),
	claimed_at BIGINT,
	cancelling SMALLINT DEFAULT 0 NOT NULL,
	PRIMARY KEY (seq),
	UNIQUE (id)
);
CREATE INDEX IF NOT EXISTS job_ready_claim ON job_ready (queue, isolation, rank, seq) WHERE token IS NULL;
CREATE INDEX IF NOT EXISTS job_ready_claimed ON job_ready (worker) WHERE token IS NOT NULL;
CREATE TABLE IF NOT EXISTS job_records (
	id BLOB NOT NULL,
	name VARCHAR(200) NOT NULL,
	queue VARCHAR(200) NOT NULL,
	rank INTEGER NOT NULL,
	isolation VARCHAR(10) NOT NULL,
	payload BLOB NOT NULL,
	options BLOB NOT NULL,
	tenant VARCHAR(200),
	user_id VARCHAR(200),
	locale VARCHAR(200),
	created_at BIGINT NOT NULL,
	PRIMARY KEY (id)
);
CREATE TABLE IF NOT EXISTS job_signals (
	name VARCHAR(40) NOT NULL,
	value BIGINT NOT NULL,
	PRIMARY KEY (name)
);
CREATE TABLE IF NOT EXISTS job_waiting (
	id BLOB NOT NULL,
	queue VARCHAR(200) NOT NULL,
	isolation VARCHAR(10) NOT NULL,
	rank INTEGER NOT NULL,
	attempts INTEGER NOT NULL,
	exceptions INTEGER NOT NULL,
	crashes INTEGER NOT NULL,
	due_at BIGINT,
	blockers INTEGER NOT NULL,
	PRIMARY KEY (id)
)
 WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS job_waiting_due ON job_waiting (due_at) WHERE blockers = 0;
CREATE TABLE IF NOT EXISTS job_workers (
	id VARCHAR(40) NOT NULL,
	supervisor VARCHAR(40) NOT NULL,
	host VARCHAR(255) NOT NULL,
	pid INTEGER NOT NULL,
	queues TEXT NOT NULL,
	started_at BIGINT NOT NULL,
	beats BIGINT NOT NULL,
	version VARCHAR(200) DEFAULT '' NOT NULL,
	pace TEXT,
	PRIMARY KEY (id)
);
CREATE TABLE IF NOT EXISTS tabur_schema (
	version INTEGER NOT NULL,
	applied_at BIGINT NOT NULL,
	PRIMARY KEY (version)
);
CREATE VIEW IF NOT EXISTS jobs AS
            SELECT lower(hex(y.id)) AS id, y.queue AS queue, CAST(r.payload AS TEXT) AS payload,
                   y.attempts AS attempts, y.claimed_at / 1000000 AS reserved_at,
                   r.created_at / 1000000 AS available_at,
                   r.created_at / 1000000 AS created_at, r.name AS name
              FROM job_ready y JOIN job_records r ON r.id = y.id
             UNION ALL
            SELECT lower(hex(w.id)), w.queue, CAST(r.payload AS TEXT), w.attempts, NULL, w.due_at / 1000000,
                   r.created_at / 1000000, r.name
              FROM job_waiting w JOIN job_records r ON r.id = w.id;
CREATE VIEW IF NOT EXISTS failed_jobs AS
            SELECT o.seq AS id, lower(hex(o.id)) AS uuid, 'database' AS connection, r.queue AS queue,
                   CAST(r.payload AS TEXT) AS payload, o.error AS exception,
                   datetime(o.ended_at / 1000000, 'unixepoch') AS failed_at, r.name AS name
              FROM job_outcomes o JOIN job_records r ON r.id = o.id
             WHERE o.ending = 'failed';
INSERT INTO tabur_schema (version, applied_at) VALUES (1, 1790000000000000);
INSERT INTO job_signals (name, value) SELECT 'restart', 0 WHERE NOT EXISTS (SELECT 1 FROM job_signals s WHERE s.name = 'restart');
INSERT INTO job_signals (name, value) SELECT 'identity', 12345 WHERE NOT EXISTS (SELECT 1 FROM job_signals s WHERE s.name = 'identity');
INSERT INTO tabur_schema (version, applied_at) VALUES (2, 1790000000000000);
CREATE TABLE IF NOT EXISTS job_pauses (
	queue VARCHAR(200) NOT NULL,
	since BIGINT NOT NULL,
	until BIGINT,
	reason TEXT,
	PRIMARY KEY (queue)
);
CREATE TABLE IF NOT EXISTS job_cursors (
	id BLOB NOT NULL,
	cursor BLOB NOT NULL,
	PRIMARY KEY (id)
)
 WITHOUT ROWID;
INSERT INTO job_signals (name, value) SELECT 'moment', 0 WHERE NOT EXISTS (SELECT 1 FROM job_signals s WHERE s.name = 'moment');
INSERT INTO tabur_schema (version, applied_at) VALUES (3, 1790000000000000);

CREATE TABLE IF NOT EXISTS tabur_schema (
	version SERIAL NOT NULL,
	applied_at BIGINT NOT NULL,
	PRIMARY KEY (version)
);
CREATE TABLE IF NOT EXISTS job_attachments (
	id BYTEA NOT NULL,
	n INTEGER NOT NULL,
	name VARCHAR(255) NOT NULL,
	size BIGINT NOT NULL,
	media_type VARCHAR(200) NOT NULL,
	path VARCHAR(500) NOT NULL,
	PRIMARY KEY (id, n)
);
CREATE TABLE IF NOT EXISTS job_cursors (
	id BYTEA NOT NULL,
	cursor BYTEA NOT NULL,
	PRIMARY KEY (id)
);
CREATE TABLE IF NOT EXISTS job_outcomes (
	seq BIGSERIAL NOT NULL,
	id BYTEA NOT NULL,
	attempt INTEGER NOT NULL,
	token BYTEA,
	ending VARCHAR(10) NOT NULL,
	worker VARCHAR(40),
	started_at BIGINT,
	ended_at BIGINT NOT NULL,
	error TEXT,
	result BYTEA,
	PRIMARY KEY (seq)
);
CREATE INDEX IF NOT EXISTS job_outcomes_failed ON job_outcomes (id) WHERE ending = 'failed';
CREATE INDEX IF NOT EXISTS job_outcomes_job ON job_outcomes (id, seq);
CREATE TABLE IF NOT EXISTS job_pauses (
	queue VARCHAR(200) NOT NULL,
	since BIGINT NOT NULL,
	until BIGINT,
	reason TEXT,
	PRIMARY KEY (queue)
);
CREATE TABLE IF NOT EXISTS job_progress (
	id BYTEA NOT NULL,
	done BIGINT NOT NULL,
	total BIGINT,
	unit VARCHAR(40),
	message VARCHAR(500),
	warnings BIGINT NOT NULL,
	PRIMARY KEY (id)
);
CREATE TABLE IF NOT EXISTS job_ready (
	seq BIGSERIAL NOT NULL,
	id BYTEA NOT NULL,
	queue VARCHAR(200) NOT NULL,
	isolation VARCHAR(10) NOT NULL,
	rank INTEGER NOT NULL,
	attempts INTEGER NOT NULL,
	exceptions INTEGER NOT NULL,
	crashes INTEGER NOT NULL,
	token BYTEA,
	worker VARCHAR(40),
	claimed_at BIGINT,
	cancelling SMALLINT DEFAULT 0 NOT NULL,
	PRIMARY KEY (seq),
	UNIQUE (id)
)
 WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 50000, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX IF NOT EXISTS job_ready_claim ON job_ready (queue, isolation, rank, seq) WHERE token IS NULL;
CREATE INDEX IF NOT EXISTS job_ready_claimed ON job_ready (worker) WHERE token IS NOT NULL;
CREATE TABLE IF NOT EXISTS job_records (
	id BYTEA NOT NULL,
	name VARCHAR(200) NOT NULL,
	queue VARCHAR(200) NOT NULL,
	rank INTEGER NOT NULL,
	isolation VARCHAR(10) NOT NULL,
	payload BYTEA NOT NULL,
	options BYTEA NOT NULL,
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
	id BYTEA NOT NULL,
	queue VARCHAR(200) NOT NULL,
	isolation VARCHAR(10) NOT NULL,
	rank INTEGER NOT NULL,
	attempts INTEGER NOT NULL,
	exceptions INTEGER NOT NULL,
	crashes INTEGER NOT NULL,
	due_at BIGINT,
	blockers INTEGER NOT NULL,
	PRIMARY KEY (id)
);
CREATE INDEX IF NOT EXISTS job_waiting_due ON job_waiting (due_at, id) WHERE blockers = 0;
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
	version SERIAL NOT NULL,
	applied_at BIGINT NOT NULL,
	PRIMARY KEY (version)
);
ALTER TABLE job_ready DROP CONSTRAINT job_ready_pkey;
ALTER TABLE job_ready DROP CONSTRAINT job_ready_id_key, ADD PRIMARY KEY (id);
DO $tabur$ BEGIN
                IF to_regclass('jobs') IS NULL THEN CREATE VIEW jobs AS
            SELECT encode(y.id, 'hex') AS id, y.queue AS queue, convert_from(r.payload, 'UTF8') AS payload,
                   y.attempts AS attempts, y.claimed_at / 1000000 AS reserved_at,
                   r.created_at / 1000000 AS available_at,
                   r.created_at / 1000000 AS created_at, r.name AS name
              FROM job_ready y JOIN job_records r ON r.id = y.id
             UNION ALL
            SELECT encode(w.id, 'hex'), w.queue, convert_from(r.payload, 'UTF8'), w.attempts, NULL, w.due_at / 1000000,
                   r.created_at / 1000000, r.name
              FROM job_waiting w JOIN job_records r ON r.id = w.id
        ; END IF;
            END $tabur$;
DO $tabur$ BEGIN
                IF to_regclass('failed_jobs') IS NULL THEN CREATE VIEW failed_jobs AS
            SELECT o.seq AS id, encode(o.id, 'hex') AS uuid, 'database' AS connection, r.queue AS queue,
                   convert_from(r.payload, 'UTF8') AS payload, o.error AS exception,
                   to_timestamp(o.ended_at / 1000000.0) AS failed_at, r.name AS name
              FROM job_outcomes o JOIN job_records r ON r.id = o.id
             WHERE o.ending = 'failed'
        ; END IF;
            END $tabur$;
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
	id BYTEA NOT NULL,
	cursor BYTEA NOT NULL,
	PRIMARY KEY (id)
);
INSERT INTO job_signals (name, value) SELECT 'moment', 0 WHERE NOT EXISTS (SELECT 1 FROM job_signals s WHERE s.name = 'moment');
INSERT INTO tabur_schema (version, applied_at) VALUES (3, 1790000000000000);

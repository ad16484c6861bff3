CREATE TABLE IF NOT EXISTS tabur_schema (
	version INTEGER NOT NULL AUTO_INCREMENT,
	applied_at BIGINT NOT NULL,
	PRIMARY KEY (version)
)CHARSET=utf8mb4 ENGINE=InnoDB COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;
CREATE TABLE IF NOT EXISTS job_attachments (
	id BINARY(16) NOT NULL,
	n INTEGER NOT NULL,
	name VARCHAR(255) NOT NULL,
	size BIGINT NOT NULL,
	media_type VARCHAR(200) NOT NULL,
	path VARCHAR(500) NOT NULL,
	PRIMARY KEY (id, n)
)CHARSET=utf8mb4 ENGINE=InnoDB COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;
CREATE TABLE IF NOT EXISTS job_cursors (
	id BINARY(16) NOT NULL,
	`cursor` MEDIUMBLOB NOT NULL,
	PRIMARY KEY (id)
)CHARSET=utf8mb4 ENGINE=InnoDB COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;
CREATE TABLE IF NOT EXISTS job_outcomes (
	seq BIGINT NOT NULL AUTO_INCREMENT,
	id BINARY(16) NOT NULL,
	attempt INTEGER NOT NULL,
	token BINARY(16),
	ending VARCHAR(10) NOT NULL,
	worker VARCHAR(40),
	started_at BIGINT,
	ended_at BIGINT NOT NULL,
	error MEDIUMTEXT,
	result MEDIUMBLOB,
	PRIMARY KEY (seq)
)CHARSET=utf8mb4 ENGINE=InnoDB COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;
CREATE INDEX job_outcomes_failed ON job_outcomes (ending, id);
CREATE INDEX job_outcomes_job ON job_outcomes (id);
CREATE TABLE IF NOT EXISTS job_pauses (
	queue VARCHAR(200) NOT NULL,
	since BIGINT NOT NULL,
	until BIGINT,
	reason TEXT,
	PRIMARY KEY (queue)
)CHARSET=utf8mb4 ENGINE=InnoDB COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;
CREATE TABLE IF NOT EXISTS job_progress (
	id BINARY(16) NOT NULL,
	done BIGINT NOT NULL,
	total BIGINT,
	unit VARCHAR(40),
	message VARCHAR(500),
	warnings BIGINT NOT NULL,
	PRIMARY KEY (id)
)CHARSET=utf8mb4 ENGINE=InnoDB COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;
CREATE TABLE IF NOT EXISTS job_ready (
	seq BIGINT NOT NULL AUTO_INCREMENT,
	id BINARY(16) NOT NULL,
	queue VARCHAR(200) NOT NULL,
	isolation VARCHAR(10) NOT NULL,
	`rank` INTEGER NOT NULL,
	attempts INTEGER NOT NULL,
	exceptions INTEGER NOT NULL,
	crashes INTEGER NOT NULL,
	token BINARY(16),
	worker VARCHAR(40),
	claimed_at BIGINT,
	cancelling SMALLINT NOT NULL DEFAULT 0,
	PRIMARY KEY (seq),
	UNIQUE (id)
)CHARSET=utf8mb4 ENGINE=InnoDB COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;
CREATE INDEX job_ready_claim ON job_ready (worker, queue, isolation, `rank`, seq);
CREATE TABLE IF NOT EXISTS job_records (
	id BINARY(16) NOT NULL,
	name VARCHAR(200) NOT NULL,
	queue VARCHAR(200) NOT NULL,
	`rank` INTEGER NOT NULL,
	isolation VARCHAR(10) NOT NULL,
	payload MEDIUMBLOB NOT NULL,
	options MEDIUMBLOB NOT NULL,
	tenant VARCHAR(200),
	user_id VARCHAR(200),
	locale VARCHAR(200),
	created_at BIGINT NOT NULL,
	PRIMARY KEY (id)
)CHARSET=utf8mb4 ENGINE=InnoDB COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;
CREATE TABLE IF NOT EXISTS job_signals (
	name VARCHAR(40) NOT NULL,
	value BIGINT NOT NULL,
	PRIMARY KEY (name)
)CHARSET=utf8mb4 ENGINE=InnoDB COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;
CREATE TABLE IF NOT EXISTS job_waiting (
	id BINARY(16) NOT NULL,
	queue VARCHAR(200) NOT NULL,
	isolation VARCHAR(10) NOT NULL,
	`rank` INTEGER NOT NULL,
	attempts INTEGER NOT NULL,
	exceptions INTEGER NOT NULL,
	crashes INTEGER NOT NULL,
	due_at BIGINT,
	blockers INTEGER NOT NULL,
	PRIMARY KEY (id)
)CHARSET=utf8mb4 ENGINE=InnoDB COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;
CREATE INDEX job_waiting_due ON job_waiting (blockers, due_at);
CREATE TABLE IF NOT EXISTS job_workers (
	id VARCHAR(40) NOT NULL,
	supervisor VARCHAR(40) NOT NULL,
	host VARCHAR(255) NOT NULL,
	pid INTEGER NOT NULL,
	queues TEXT NOT NULL,
	started_at BIGINT NOT NULL,
	beats BIGINT NOT NULL,
	version VARCHAR(200) NOT NULL DEFAULT '',
	pace TEXT,
	PRIMARY KEY (id)
)CHARSET=utf8mb4 ENGINE=InnoDB COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;
CREATE TABLE IF NOT EXISTS tabur_schema (
	version INTEGER NOT NULL AUTO_INCREMENT,
	applied_at BIGINT NOT NULL,
	PRIMARY KEY (version)
)CHARSET=utf8mb4 ENGINE=InnoDB COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;
CREATE VIEW jobs AS
            SELECT lower(hex(y.id)) AS id, y.queue AS queue, convert(r.payload USING utf8mb4) AS payload,
                   y.attempts AS attempts, y.claimed_at DIV 1000000 AS reserved_at,
                   r.created_at DIV 1000000 AS available_at,
                   r.created_at DIV 1000000 AS created_at, r.name AS name
              FROM job_ready y JOIN job_records r ON r.id = y.id
             UNION ALL
            SELECT lower(hex(w.id)), w.queue, convert(r.payload USING utf8mb4), w.attempts, NULL, w.due_at DIV 1000000,
                   r.created_at DIV 1000000, r.name
              FROM job_waiting w JOIN job_records r ON r.id = w.id;
CREATE VIEW failed_jobs AS
            SELECT o.seq AS id, lower(hex(o.id)) AS uuid, 'database' AS connection, r.queue AS queue,
                   convert(r.payload USING utf8mb4) AS payload, o.error AS exception,
                   timestampadd(MICROSECOND, o.ended_at, TIMESTAMP'1970-01-01 00:00:00') AS failed_at, r.name AS name
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
)CHARSET=utf8mb4 ENGINE=InnoDB COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;
CREATE TABLE IF NOT EXISTS job_cursors (
	id BINARY(16) NOT NULL,
	`cursor` MEDIUMBLOB NOT NULL,
	PRIMARY KEY (id)
)CHARSET=utf8mb4 ENGINE=InnoDB COLLATE /*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */;
INSERT INTO job_signals (name, value) SELECT 'moment', 0 WHERE NOT EXISTS (SELECT 1 FROM job_signals s WHERE s.name = 'moment');
INSERT INTO tabur_schema (version, applied_at) VALUES (3, 1790000000000000);

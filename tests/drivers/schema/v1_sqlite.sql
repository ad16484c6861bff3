-- A database of version 1 of the schema, on SQLite, as its own driver left it: jobs in every state.
-- The moment it was made is 1790000000000000.
BEGIN TRANSACTION;
CREATE TABLE job_attachments (
	id BLOB NOT NULL, 
	n INTEGER NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	size BIGINT NOT NULL, 
	media_type VARCHAR(200) NOT NULL, 
	path VARCHAR(500) NOT NULL, 
	PRIMARY KEY (id, n)
);
INSERT INTO "job_attachments" VALUES(X'01990001000070008000000000000001',1,'report.csv',12,'text/csv','01/report.csv');
CREATE TABLE job_outcomes (
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
INSERT INTO "job_outcomes" VALUES(1,X'01990001000070008000000000000001',1,X'01010101010101010101010101010101','completed','w-old',1790000000000001,1790000001000000,NULL,X'22646F6E6522');
INSERT INTO "job_outcomes" VALUES(2,X'01990002000070008000000000000002',1,X'02020202020202020202020202020202','retried','w-old',1790000000000002,1790000001000000,'{"type":"ValueError","message":"no","traceback":"Traceback …"}',NULL);
INSERT INTO "job_outcomes" VALUES(3,X'01990002000070008000000000000002',2,X'03030303030303030303030303030303','failed','w-old',1790000000000002,1790000001000000,'{"type":"ValueError","message":"no again","traceback":"Traceback …"}',NULL);
INSERT INTO "job_outcomes" VALUES(4,X'01990003000070008000000000000003',0,NULL,'cancelled',NULL,NULL,1790000000000000,'{"type":"JobCancelled","message":"Called back.","traceback":""}',NULL);
INSERT INTO "job_outcomes" VALUES(5,X'01990009000070008000000000000009',1,X'09090909090909090909090909090909','retried','w-old',1790000000000009,1790000001000000,'{"type":"OSError","message":"later","traceback":"Traceback …"}',NULL);
CREATE TABLE job_progress (
	id BLOB NOT NULL, 
	done BIGINT NOT NULL, 
	total BIGINT, 
	unit VARCHAR(40), 
	message VARCHAR(500), 
	warnings BIGINT NOT NULL, 
	PRIMARY KEY (id)
)
 WITHOUT ROWID

;
INSERT INTO "job_progress" VALUES(X'01990001000070008000000000000001',7,9,'rows','seven of nine',1);
CREATE TABLE job_ready (
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
INSERT INTO "job_ready" VALUES(1,X'01990004000070008000000000000004','q4','process',0,0,0,0,X'04040404040404040404040404040404','w-old',1790000000000000,0);
INSERT INTO "job_ready" VALUES(2,X'01990005000070008000000000000005','default','thread',-5,0,0,0,NULL,NULL,NULL,0);
INSERT INTO "job_ready" VALUES(3,X'01990006000070008000000000000006','default','loop',0,0,0,0,NULL,NULL,NULL,0);
CREATE TABLE job_records (
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
INSERT INTO "job_records" VALUES(X'01990001000070008000000000000001','finished','q1',0,'thread',X'7B226F72646572223A20317D',X'',NULL,NULL,NULL,1790000000000001);
INSERT INTO "job_records" VALUES(X'01990002000070008000000000000002','failed','q2',0,'thread',X'7B226F72646572223A20327D',X'',NULL,NULL,NULL,1790000000000002);
INSERT INTO "job_records" VALUES(X'01990003000070008000000000000003','cancelled','q3',0,'thread',X'7B226F72646572223A20337D',X'',NULL,NULL,NULL,1790000000000003);
INSERT INTO "job_records" VALUES(X'01990004000070008000000000000004','processing','q4',0,'process',X'7B226F72646572223A20347D',X'',NULL,NULL,NULL,1790000000000004);
INSERT INTO "job_records" VALUES(X'01990005000070008000000000000005','pending','default',-5,'thread',X'7B226F72646572223A20357D',X'','acme','u1','ar',1790000000000005);
INSERT INTO "job_records" VALUES(X'01990006000070008000000000000006','pending','default',0,'loop',X'7B226F72646572223A20367D',X'',NULL,NULL,NULL,1790000000000006);
INSERT INTO "job_records" VALUES(X'01990007000070008000000000000007','scheduled','default',0,'thread',X'7B226F72646572223A20377D',X'',NULL,NULL,NULL,1790000000000007);
INSERT INTO "job_records" VALUES(X'01990008000070008000000000000008','blocked','default',0,'thread',X'7B226F72646572223A20387D',X'',NULL,NULL,NULL,1790000000000008);
INSERT INTO "job_records" VALUES(X'01990009000070008000000000000009','retrying','q9',0,'thread',X'7B226F72646572223A20397D',X'',NULL,NULL,NULL,1790000000000009);
CREATE TABLE job_signals (
	name VARCHAR(40) NOT NULL, 
	value BIGINT NOT NULL, 
	PRIMARY KEY (name)
);
CREATE TABLE job_waiting (
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
 WITHOUT ROWID

;
INSERT INTO "job_waiting" VALUES(X'01990007000070008000000000000007','default','thread',0,0,0,0,1790003600000000,0);
INSERT INTO "job_waiting" VALUES(X'01990008000070008000000000000008','default','thread',0,0,0,0,NULL,1);
INSERT INTO "job_waiting" VALUES(X'01990009000070008000000000000009','q9','thread',0,1,1,0,1790000060000000,0);
CREATE TABLE job_workers (
	id VARCHAR(40) NOT NULL, 
	supervisor VARCHAR(40) NOT NULL, 
	host VARCHAR(255) NOT NULL, 
	pid INTEGER NOT NULL, 
	queues TEXT NOT NULL, 
	started_at BIGINT NOT NULL, 
	beats BIGINT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "job_workers" VALUES('w-old','s-old','host',4711,'default',1790000000000000,3);
CREATE TABLE tabur_schema (
	version INTEGER NOT NULL, 
	applied_at BIGINT NOT NULL, 
	PRIMARY KEY (version)
);
INSERT INTO "tabur_schema" VALUES(1,1790000000000000);
CREATE INDEX job_outcomes_failed ON job_outcomes (id) WHERE ending = 'failed';
CREATE INDEX job_outcomes_job ON job_outcomes (id);
CREATE INDEX job_ready_claim ON job_ready (queue, isolation, rank, seq) WHERE token IS NULL;
CREATE INDEX job_ready_claimed ON job_ready (worker) WHERE token IS NOT NULL;
CREATE INDEX job_waiting_due ON job_waiting (due_at) WHERE blockers = 0;
CREATE VIEW jobs AS 
        SELECT lower(hex(y.id)) AS id, y.queue AS queue, CAST(r.payload AS TEXT) AS payload,
               y.attempts AS attempts, y.claimed_at / 1000000 AS reserved_at,
               r.created_at / 1000000 AS available_at, r.created_at / 1000000 AS created_at,
               r.name AS name
          FROM job_ready y JOIN job_records r ON r.id = y.id
         UNION ALL
        SELECT lower(hex(w.id)), w.queue, CAST(r.payload AS TEXT), w.attempts, NULL,
               w.due_at / 1000000, r.created_at / 1000000, r.name
          FROM job_waiting w JOIN job_records r ON r.id = w.id;
CREATE VIEW failed_jobs AS 
        SELECT o.seq AS id, lower(hex(o.id)) AS uuid, 'database' AS connection, r.queue AS queue,
               CAST(r.payload AS TEXT) AS payload, o.error AS exception,
               datetime(o.ended_at / 1000000, 'unixepoch') AS failed_at, r.name AS name
          FROM job_outcomes o JOIN job_records r ON r.id = o.id
         WHERE o.ending = 'failed';
COMMIT;

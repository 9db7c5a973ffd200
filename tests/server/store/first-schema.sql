-- A store as the first version of the tables had it (0001), with an operation whose process is gone: its first step
-- is done, its second was meant. Never change this file.
BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL,
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE operation_steps (
	operation_id TEXT NOT NULL,
	name TEXT NOT NULL,
	number INTEGER NOT NULL,
	state TEXT NOT NULL,
	epoch INTEGER NOT NULL,
	intended_at DOUBLE NOT NULL,
	ended_at DOUBLE,
	result JSON,
	CONSTRAINT pk_operation_steps PRIMARY KEY (operation_id, name),
	CONSTRAINT fk_operation_steps_operation_id FOREIGN KEY(operation_id) REFERENCES operations (id) ON DELETE CASCADE
);
CREATE TABLE operations (
	id TEXT NOT NULL,
	kind TEXT NOT NULL,
	target TEXT NOT NULL,
	title TEXT NOT NULL,
	principal JSON NOT NULL,
	owned_by TEXT NOT NULL,
	request JSON NOT NULL,
	request_digest TEXT NOT NULL,
	idempotency_key TEXT,
	state TEXT NOT NULL,
	attempt INTEGER NOT NULL,
	epoch INTEGER NOT NULL,
	held_by TEXT,
	lease_until DOUBLE,
	next_attempt_at DOUBLE,
	created_at DOUBLE NOT NULL,
	updated_at DOUBLE NOT NULL,
	deadline_at DOUBLE NOT NULL,
	ended_at DOUBLE,
	cancel_requested_at DOUBLE,
	done DOUBLE NOT NULL,
	total DOUBLE NOT NULL,
	line TEXT NOT NULL,
	notes JSON NOT NULL,
	outcome JSON,
	CONSTRAINT pk_operations PRIMARY KEY (id)
);
CREATE UNIQUE INDEX one_open_operation_a_target ON operations (target) WHERE state IN ('pending', 'running');
CREATE UNIQUE INDEX one_operation_a_key ON operations (owned_by, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX operations_by_state ON operations (state, created_at);
CREATE INDEX operations_by_owner ON operations (owned_by, created_at);
INSERT INTO operations VALUES(
  'op-0123456789ab', 'deploy', 'target of deploy', 'The deploy',
  '{"name": "anna", "transport": "stdio", "uid": 1001, "client": "some client"}', '["user", 1001]',
  '{}', 'a digest', NULL, 'running', 1, 1, 'host/1/abcd', 1700000003.0, NULL, 1700000000.0, 1700000001.0, 4000000000.0,
  NULL, NULL, 1.0, 3.0, 'config is made', '{}', NULL
);
INSERT INTO operation_steps VALUES('op-0123456789ab', 'config', 1, 'done', 1, 1700000000.5, 1700000000.6, '{"thing": "/things/op-0123456789ab/config"}');
INSERT INTO operation_steps VALUES('op-0123456789ab', 'workload', 2, 'intent', 1, 1700000001.0, NULL, NULL);
COMMIT;

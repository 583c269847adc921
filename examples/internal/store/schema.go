package store

// schema is created before the rows, indexes after them: building an index over
// sorted data once is several times cheaper than keeping it during the load.
const schema = `
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE users (
	id            INTEGER PRIMARY KEY,
	email         TEXT NOT NULL,
	name          TEXT NOT NULL,
	role          TEXT NOT NULL CHECK (role IN ('USER','AGENT','ADMIN','SUPERUSER')),
	password_hash TEXT NOT NULL,
	created_at    INTEGER NOT NULL
);
CREATE TABLE inquiries (
	id             INTEGER PRIMARY KEY,
	user_id        INTEGER NOT NULL REFERENCES users(id),
	agent_id       INTEGER NOT NULL REFERENCES users(id),
	category       TEXT NOT NULL,
	priority       TEXT NOT NULL,
	status         TEXT NOT NULL,
	subject        TEXT NOT NULL,
	created_at     INTEGER NOT NULL,
	first_reply_at INTEGER,
	resolved_at    INTEGER,
	rating         INTEGER
);`

// indexes are the ones a reviewer would ask for: every list is found by its
// owner and every range by its time, newest first; inquiries_created covers the
// analytics, so that they never touch the table. What stays slow is the adding up.
var indexes = []string{
	`CREATE UNIQUE INDEX users_email ON users(email)`,
	`CREATE INDEX users_role ON users(role, id)`,
	`CREATE INDEX inquiries_user ON inquiries(user_id, created_at)`,
	`CREATE INDEX inquiries_agent ON inquiries(agent_id, created_at)`,
	`CREATE INDEX inquiries_created ON inquiries(created_at, agent_id, status, category, priority, first_reply_at, resolved_at, rating)`,
	`CREATE INDEX inquiries_status ON inquiries(status, created_at)`,
}

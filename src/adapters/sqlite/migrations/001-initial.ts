/** Users, their sessions and files, and the ledger of blobs. Times are milliseconds since the Unix epoch. */
export const initial = `
CREATE TABLE users (
  id TEXT PRIMARY KEY,
  email TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  confirmed_by TEXT NOT NULL,
  created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- An ended session stays for a while as a row: its pin_id keeps a PIN from opening a second one.
CREATE TABLE sessions (
  id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  device_id TEXT NOT NULL,
  token_hash BLOB NOT NULL UNIQUE,
  pin_id TEXT NOT NULL UNIQUE,
  created_at INTEGER NOT NULL,
  last_used_at INTEGER NOT NULL,
  ended_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX sessions_of_device ON sessions (user_id, device_id) WHERE ended_at IS NULL;

-- A run is one life of one server process; blob ids begin with it.
CREATE TABLE runs (
  id TEXT PRIMARY KEY,
  started_at INTEGER NOT NULL,
  ended INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE files (
  id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL REFERENCES users (id),
  name TEXT NOT NULL,
  size INTEGER NOT NULL,
  content_type TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  blob TEXT NOT NULL UNIQUE
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX files_by_name ON files (user_id, name);
CREATE INDEX files_by_created_at ON files (user_id, created_at, id);
CREATE INDEX files_by_updated_at ON files (user_id, updated_at, id);
CREATE INDEX files_by_size ON files (user_id, size, id);

-- Blobs that no row names any more and that are still to be deleted.
CREATE TABLE garbage (
  position INTEGER PRIMARY KEY,
  blob TEXT NOT NULL UNIQUE
) STRICT;
`

/**
 * Contents are sealed, deleted files can be restored, and the usage of each user is counted. Only for a database without
 * users.
 */
export const sealed = `
ALTER TABLE users ADD COLUMN file_count INTEGER NOT NULL DEFAULT 0 CHECK (file_count >= 0);
ALTER TABLE users ADD COLUMN byte_count INTEGER NOT NULL DEFAULT 0 CHECK (byte_count >= 0);

-- A user's vault key under a master key, or later under another lock.
CREATE TABLE key_slots (
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  kind TEXT NOT NULL,
  key_id TEXT NOT NULL,
  sealed BLOB NOT NULL,
  PRIMARY KEY (user_id, kind)
) STRICT, WITHOUT ROWID;
CREATE INDEX key_slots_by_key ON key_slots (key_id, user_id);

-- Users who were removed, until nothing is left of them.
CREATE TABLE departed (
  user_id TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- The files of a user who was removed stay behind for a while, so there is no reference to users.
DROP TABLE files;
CREATE TABLE files (
  id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL,
  name TEXT NOT NULL,
  size INTEGER NOT NULL,
  content_type TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  updated_at INTEGER NOT NULL,
  blob TEXT NOT NULL UNIQUE,
  seal BLOB NOT NULL,
  deleted_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX files_by_name ON files (user_id, name) WHERE deleted_at IS NULL;
CREATE INDEX files_by_created_at ON files (user_id, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX files_by_updated_at ON files (user_id, updated_at, id) WHERE deleted_at IS NULL;
CREATE INDEX files_by_size ON files (user_id, size, id) WHERE deleted_at IS NULL;
CREATE INDEX trash_of_user ON files (user_id, deleted_at, id) WHERE deleted_at IS NOT NULL;
CREATE INDEX trash_by_age ON files (deleted_at) WHERE deleted_at IS NOT NULL;

-- The master keys that a run can open, as a JSON array of their ids.
ALTER TABLE runs ADD COLUMN key_ids TEXT NOT NULL DEFAULT '[]';

-- While a hold lasts, no blob is deleted.
CREATE TABLE holds (
  id TEXT PRIMARY KEY,
  until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
`

/** All tables as of schema 9, the first that is kept. Times are milliseconds since the Unix epoch. */
export const tables = `
CREATE TABLE users (
  id TEXT PRIMARY KEY,
  email TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  confirmed_by TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  file_count INTEGER NOT NULL DEFAULT 0 CHECK (file_count >= 0),
  byte_count INTEGER NOT NULL DEFAULT 0 CHECK (byte_count >= 0),
  -- For the quota of files, deleted files are counted separately from live ones.
  trash_count INTEGER NOT NULL DEFAULT 0 CHECK (trash_count >= 0),
  -- The latest date of all rows of vacated_names of the user that were deleted.
  vacated_at INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

-- Users who were removed, until nothing is left of them.
CREATE TABLE departed (
  user_id TEXT PRIMARY KEY
) STRICT, WITHOUT ROWID;

-- A user's vault key under a master key, or later under another lock; and the server's own.
CREATE TABLE key_slots (
  user_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  key_id TEXT NOT NULL,
  sealed BLOB NOT NULL,
  PRIMARY KEY (user_id, kind)
) STRICT, WITHOUT ROWID;
CREATE INDEX key_slots_by_key ON key_slots (key_id, user_id);

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

-- Devices on which a user has signed in. Those used longest ago are deleted first.
CREATE TABLE devices (
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  device_id TEXT NOT NULL,
  first_seen_at INTEGER NOT NULL,
  last_seen_at INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (user_id, device_id)
) STRICT, WITHOUT ROWID;

-- Wrong guesses at the PINs of an address, under a keyed hash of it, whether it belongs to a user or not. Kept for good.
CREATE TABLE guesses (
  address BLOB PRIMARY KEY,
  wrong INTEGER NOT NULL CHECK (wrong >= 0),
  paused_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- PINs that the operator handed out. A device has one for each user.
CREATE TABLE handed_out_pins (
  device_id TEXT NOT NULL,
  pin_id TEXT NOT NULL,
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  digest BLOB NOT NULL,
  expires_at INTEGER NOT NULL,
  guesses INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (device_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX handed_out_pins_of_user ON handed_out_pins (user_id);

-- Each user's list has a bound for each class. An event has its place in the order of its class.
CREATE TABLE activity (
  id TEXT NOT NULL,
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  at INTEGER NOT NULL,
  kind TEXT NOT NULL,
  address TEXT NOT NULL,
  user_agent TEXT NOT NULL,
  session_id TEXT,
  device_id TEXT,
  file_id TEXT,
  count INTEGER NOT NULL DEFAULT 1,
  class TEXT NOT NULL DEFAULT 'routine',
  position INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (user_id, at, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX activity_by_age ON activity (at);
CREATE INDEX activity_by_class ON activity (user_id, class, position);
CREATE INDEX activity_alike ON activity (user_id, kind, coalesce(device_id, ''), at);

-- The files of a user who was removed stay behind for a while, so there is no reference to users.
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
  deleted_at INTEGER,
  -- Files with equal contents are found by it. A row from before tags existed has none until the sweeper adds it.
  tag BLOB,
  -- The time when the content got its name; HTTP dates use it.
  named_at INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX files_by_name ON files (user_id, name) WHERE deleted_at IS NULL;
CREATE INDEX files_by_created_at ON files (user_id, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX files_by_updated_at ON files (user_id, updated_at, id) WHERE deleted_at IS NULL;
CREATE INDEX files_by_size ON files (user_id, size, id) WHERE deleted_at IS NULL;
CREATE INDEX trash_of_user ON files (user_id, deleted_at, id) WHERE deleted_at IS NOT NULL;
CREATE INDEX trash_by_age ON files (deleted_at) WHERE deleted_at IS NOT NULL;
CREATE INDEX files_by_tag ON files (user_id, tag, deleted_at, name);
CREATE INDEX files_untagged ON files (id) WHERE tag IS NULL;

-- The date of each name that has no file: the time when its last content got it (\`../vacated-names.ts\`).
CREATE TABLE vacated_names (
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  named_at INTEGER NOT NULL,
  PRIMARY KEY (user_id, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX vacated_names_of_user ON vacated_names (user_id, named_at);
CREATE INDEX vacated_names_by_date ON vacated_names (named_at);

-- A run is one life of one server process; blob ids begin with it. \`key_ids\` are the master keys that it can open, as JSON.
CREATE TABLE runs (
  id TEXT PRIMARY KEY,
  started_at INTEGER NOT NULL,
  ended INTEGER NOT NULL DEFAULT 0,
  key_ids TEXT NOT NULL DEFAULT '[]'
) STRICT, WITHOUT ROWID;

-- Blobs that no row names any more and that are still to be deleted.
CREATE TABLE garbage (
  position INTEGER PRIMARY KEY,
  blob TEXT NOT NULL UNIQUE
) STRICT;

-- While a hold lasts, no blob is deleted.
CREATE TABLE holds (
  id TEXT PRIMARY KEY,
  until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
`

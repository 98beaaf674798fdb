/**
 * All tables as of schema 8, the first that is kept. Times are milliseconds since the Unix epoch by the vault's clock.
 * Columns that are sorted or searched by prefix are compared byte by byte (COLLATE "C"), as in every engine.
 */
export const tables = `
CREATE TABLE schema_version (version integer NOT NULL);
INSERT INTO schema_version VALUES (0);

-- Every transaction on a user's files locks the user's row, so its counts are exact.
CREATE TABLE users (
  id text COLLATE "C" PRIMARY KEY,
  email text COLLATE "C" NOT NULL UNIQUE,
  name text NOT NULL,
  confirmed_by text NOT NULL,
  created_at bigint NOT NULL,
  file_count bigint NOT NULL DEFAULT 0 CHECK (file_count >= 0),
  byte_count bigint NOT NULL DEFAULT 0 CHECK (byte_count >= 0),
  -- For the quota of files, deleted files are counted separately from live ones.
  trash_count bigint NOT NULL DEFAULT 0 CHECK (trash_count >= 0),
  -- The latest date of all rows of vacated_names of the user that were deleted.
  vacated_at bigint NOT NULL DEFAULT 0
);

-- Users who were removed, until nothing is left of them.
CREATE TABLE departed (user_id text COLLATE "C" PRIMARY KEY);

-- A user's vault key under a master key, or later under another lock; and the server's own.
CREATE TABLE key_slots (
  user_id text COLLATE "C" NOT NULL,
  kind text COLLATE "C" NOT NULL,
  key_id text COLLATE "C" NOT NULL,
  sealed bytea NOT NULL,
  PRIMARY KEY (user_id, kind)
);
CREATE INDEX key_slots_by_key ON key_slots (key_id, user_id);

-- An ended session stays for a while as a row: its pin_id keeps a PIN from opening a second one.
CREATE TABLE sessions (
  id text COLLATE "C" PRIMARY KEY,
  user_id text COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  device_id text COLLATE "C" NOT NULL,
  token_hash bytea NOT NULL UNIQUE,
  pin_id text COLLATE "C" NOT NULL UNIQUE,
  created_at bigint NOT NULL,
  last_used_at bigint NOT NULL,
  ended_at bigint
);
CREATE UNIQUE INDEX sessions_of_device ON sessions (user_id, device_id) WHERE ended_at IS NULL;
CREATE INDEX sessions_of_user ON sessions (user_id);

-- Devices on which a user has signed in. Those used longest ago are deleted first.
CREATE TABLE devices (
  user_id text COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  device_id text COLLATE "C" NOT NULL,
  first_seen_at bigint NOT NULL,
  last_seen_at bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (user_id, device_id)
);

-- Wrong guesses at the PINs of an address, under a keyed hash of it, whether it belongs to a user or not. Kept for good.
CREATE TABLE guesses (
  address bytea PRIMARY KEY,
  wrong bigint NOT NULL CHECK (wrong >= 0),
  paused_until bigint NOT NULL
);

-- PINs that the operator handed out. A device has one for each user.
CREATE TABLE handed_out_pins (
  device_id text COLLATE "C" NOT NULL,
  pin_id text COLLATE "C" NOT NULL,
  user_id text COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  digest bytea NOT NULL,
  expires_at bigint NOT NULL,
  guesses bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (device_id, user_id)
);
CREATE INDEX handed_out_pins_of_user ON handed_out_pins (user_id);

-- Each user's list has a bound for each class. An event has its place in the order of its class.
CREATE TABLE activity (
  id text COLLATE "C" NOT NULL,
  user_id text COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  at bigint NOT NULL,
  kind text NOT NULL,
  address text NOT NULL,
  user_agent text NOT NULL,
  session_id text,
  device_id text,
  file_id text,
  count bigint NOT NULL DEFAULT 1,
  class text NOT NULL DEFAULT 'routine',
  position bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (user_id, at, id)
);
CREATE INDEX activity_by_age ON activity (at);
CREATE INDEX activity_by_class ON activity (user_id, class, position);
CREATE INDEX activity_alike ON activity (user_id, kind, coalesce(device_id, ''), at);

-- The files of a user who was removed stay behind for a while, so there is no reference to users.
CREATE TABLE files (
  id text COLLATE "C" PRIMARY KEY,
  user_id text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  size bigint NOT NULL,
  content_type text NOT NULL,
  created_at bigint NOT NULL,
  updated_at bigint NOT NULL,
  blob text COLLATE "C" NOT NULL UNIQUE,
  seal bytea NOT NULL,
  deleted_at bigint,
  -- Files with equal contents are found by it. A row from before tags existed has none until the sweeper adds it.
  tag bytea,
  -- The time when the content got its name; HTTP dates use it.
  named_at bigint NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX files_by_name ON files (user_id, name) WHERE deleted_at IS NULL;
CREATE INDEX files_by_created_at ON files (user_id, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX files_by_updated_at ON files (user_id, updated_at, id) WHERE deleted_at IS NULL;
CREATE INDEX files_by_size ON files (user_id, size, id) WHERE deleted_at IS NULL;
CREATE INDEX trash_of_user ON files (user_id, deleted_at, id) WHERE deleted_at IS NOT NULL;
CREATE INDEX trash_by_age ON files (deleted_at) WHERE deleted_at IS NOT NULL;
CREATE INDEX files_by_tag ON files (user_id, tag, deleted_at, name);
CREATE INDEX files_untagged ON files (id) WHERE tag IS NULL;

-- The date of each name that has no file: the time when its last content got it. A row is deleted once the second of its
-- date has passed, because any new date is later then, unless the clock is set back. For that case \`users.vacated_at\` is
-- the latest date of all deleted rows of the user, and every new date of the user's names is after it.
CREATE TABLE vacated_names (
  user_id text COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  name text COLLATE "C" NOT NULL,
  named_at bigint NOT NULL,
  PRIMARY KEY (user_id, name)
);
CREATE INDEX vacated_names_of_user ON vacated_names (user_id, named_at);
CREATE INDEX vacated_names_by_date ON vacated_names (named_at);

-- A run is one life of one server process; blob ids begin with it. Its heartbeats are times of this database's own clock.
CREATE TABLE runs (
  id text COLLATE "C" PRIMARY KEY,
  started_at bigint NOT NULL,
  key_ids text[] NOT NULL,
  beat_at timestamptz NOT NULL DEFAULT now(),
  ended boolean NOT NULL DEFAULT false
);

-- Blobs of living runs whose commit was given up: a late commit has no effect.
CREATE TABLE renounced (
  blob text COLLATE "C" PRIMARY KEY,
  run text COLLATE "C" NOT NULL
);

-- Blobs that no row names any more and that are still to be deleted.
CREATE TABLE garbage (
  position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  blob text COLLATE "C" NOT NULL UNIQUE
);

-- While a hold lasts, no blob is deleted.
CREATE TABLE holds (
  id text COLLATE "C" PRIMARY KEY,
  until bigint NOT NULL
);
`

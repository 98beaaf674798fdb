/**
 * Users, their sessions, keys and files, and the ledger of blobs. Times are milliseconds since the Unix epoch by the vault's
 * clock. Columns that are sorted or searched by prefix are compared byte by byte (COLLATE "C"), as in every engine.
 */
export const tables = `
CREATE TABLE schema_version (version integer NOT NULL);
INSERT INTO schema_version VALUES (0);

-- A user's row is locked by every act on what the user keeps, so its counts are exact.
CREATE TABLE users (
  id text COLLATE "C" PRIMARY KEY,
  email text COLLATE "C" NOT NULL UNIQUE,
  name text NOT NULL,
  confirmed_by text NOT NULL,
  created_at bigint NOT NULL,
  file_count bigint NOT NULL DEFAULT 0 CHECK (file_count >= 0),
  byte_count bigint NOT NULL DEFAULT 0 CHECK (byte_count >= 0)
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

-- Devices on which a user has signed in.
CREATE TABLE devices (
  user_id text COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  device_id text COLLATE "C" NOT NULL,
  first_seen_at bigint NOT NULL,
  PRIMARY KEY (user_id, device_id)
);

-- Wrong guesses at the PINs of an address, under a keyed hash of it, whether it belongs to a user or not. Kept for good.
CREATE TABLE guesses (
  address bytea PRIMARY KEY,
  wrong bigint NOT NULL CHECK (wrong >= 0),
  paused_until bigint NOT NULL
);

-- PINs that the operator handed out.
CREATE TABLE handed_out_pins (
  device_id text COLLATE "C" PRIMARY KEY,
  pin_id text COLLATE "C" NOT NULL,
  user_id text COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  digest bytea NOT NULL,
  expires_at bigint NOT NULL,
  guesses bigint NOT NULL DEFAULT 0
);
CREATE INDEX handed_out_pins_of_user ON handed_out_pins (user_id);

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
  PRIMARY KEY (user_id, at, id)
);
CREATE INDEX activity_by_age ON activity (at);

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
  deleted_at bigint
);
CREATE UNIQUE INDEX files_by_name ON files (user_id, name) WHERE deleted_at IS NULL;
CREATE INDEX files_by_created_at ON files (user_id, created_at, id) WHERE deleted_at IS NULL;
CREATE INDEX files_by_updated_at ON files (user_id, updated_at, id) WHERE deleted_at IS NULL;
CREATE INDEX files_by_size ON files (user_id, size, id) WHERE deleted_at IS NULL;
CREATE INDEX trash_of_user ON files (user_id, deleted_at, id) WHERE deleted_at IS NOT NULL;
CREATE INDEX trash_by_age ON files (deleted_at) WHERE deleted_at IS NOT NULL;

-- A run is one life of one server process; blob ids begin with it. Whether it goes on is told by its beats, which are
-- times of this database's own clock.
CREATE TABLE runs (
  id text COLLATE "C" PRIMARY KEY,
  started_at bigint NOT NULL,
  key_ids text[] NOT NULL,
  beat_at timestamptz NOT NULL DEFAULT now(),
  ended boolean NOT NULL DEFAULT false
);

-- Blobs of runs that go on whose commit was given up: it is not to happen, however late it comes.
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

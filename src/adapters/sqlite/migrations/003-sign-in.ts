/**
 * Adds wrong guesses, PINs from the operator, the devices that a user has used, and the activity list. The server's own key
 * gets a slot beside those of the users, so slots no longer refer to users.
 */
export const signIn = `
CREATE TABLE slots (
  user_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  key_id TEXT NOT NULL,
  sealed BLOB NOT NULL,
  PRIMARY KEY (user_id, kind)
) STRICT, WITHOUT ROWID;
INSERT INTO slots SELECT user_id, kind, key_id, sealed FROM key_slots;
DROP TABLE key_slots;
ALTER TABLE slots RENAME TO key_slots;
CREATE INDEX key_slots_by_key ON key_slots (key_id, user_id);

-- Wrong guesses at the PINs of an address, under a keyed hash of it, whether it belongs to a user or not. Kept for good.
CREATE TABLE guesses (
  address BLOB PRIMARY KEY,
  wrong INTEGER NOT NULL CHECK (wrong >= 0),
  paused_until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- PINs that the operator handed out.
CREATE TABLE handed_out_pins (
  device_id TEXT PRIMARY KEY,
  pin_id TEXT NOT NULL,
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  digest BLOB NOT NULL,
  expires_at INTEGER NOT NULL,
  guesses INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX handed_out_pins_of_user ON handed_out_pins (user_id);

-- Devices on which a user has signed in.
CREATE TABLE devices (
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  device_id TEXT NOT NULL,
  first_seen_at INTEGER NOT NULL,
  PRIMARY KEY (user_id, device_id)
) STRICT, WITHOUT ROWID;
INSERT INTO devices SELECT user_id, device_id, min(created_at) FROM sessions GROUP BY user_id, device_id;

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
  PRIMARY KEY (user_id, at, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX activity_by_age ON activity (at);
`

/** A device has one PIN from the operator for each user, not one in total. */
export const pinsByUser = `
CREATE TABLE handed_out (
  device_id TEXT NOT NULL,
  pin_id TEXT NOT NULL,
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  digest BLOB NOT NULL,
  expires_at INTEGER NOT NULL,
  guesses INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (device_id, user_id)
) STRICT, WITHOUT ROWID;
INSERT INTO handed_out SELECT device_id, pin_id, user_id, digest, expires_at, guesses FROM handed_out_pins;
DROP TABLE handed_out_pins;
ALTER TABLE handed_out RENAME TO handed_out_pins;
CREATE INDEX handed_out_pins_of_user ON handed_out_pins (user_id);
`

/** Uploads that arrive in several requests. Their bytes count for the owner as soon as they are stored. */
export const uploads = `
CREATE TABLE uploads (
  -- Also the id of the version that the upload becomes.
  id TEXT PRIMARY KEY,
  user_id TEXT NOT NULL,
  name TEXT,
  content_type TEXT,
  size INTEGER,
  received INTEGER NOT NULL DEFAULT 0,
  parts INTEGER NOT NULL DEFAULT 0,
  on_conflict TEXT NOT NULL,
  protocol TEXT NOT NULL,
  terms TEXT NOT NULL,
  seal BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  touched_at INTEGER NOT NULL,
  claim INTEGER NOT NULL DEFAULT 0,
  -- The file that the upload became. The row stays for a while, for clients that lost the last response.
  file_id TEXT,
  file_name TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX uploads_of_user ON uploads (user_id, created_at, id);
CREATE INDEX uploads_by_age ON uploads (touched_at);
`

/** Uploads that arrive in several requests. Their bytes count for the owner as soon as they are stored. */
export const uploads = `
CREATE TABLE uploads (
  -- Also the id of the version that the upload becomes.
  id text COLLATE "C" PRIMARY KEY,
  user_id text COLLATE "C" NOT NULL,
  name text COLLATE "C",
  content_type text,
  size bigint,
  received bigint NOT NULL DEFAULT 0,
  parts bigint NOT NULL DEFAULT 0,
  on_conflict text NOT NULL,
  protocol text NOT NULL,
  terms text NOT NULL,
  seal bytea NOT NULL,
  created_at bigint NOT NULL,
  touched_at bigint NOT NULL,
  claim bigint NOT NULL DEFAULT 0,
  -- The file that the upload became. The row stays for a while, for clients that lost the last response.
  file_id text COLLATE "C",
  file_name text COLLATE "C"
);
CREATE INDEX uploads_of_user ON uploads (user_id, created_at, id);
CREATE INDEX uploads_by_age ON uploads (touched_at);

DROP FUNCTION IF EXISTS commit_file;
`

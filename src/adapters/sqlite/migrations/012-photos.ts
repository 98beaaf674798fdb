/** For apps that keep a phone's photos: dates taken, thumbnails, reads that verify contents, changes, and names of devices. */
export const photos = `
-- The number of the user's last change. Every change of the user's live files gets the next number.
ALTER TABLE users ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
-- The number of the latest change whose tombstone was deleted.
ALTER TABLE users ADD COLUMN forgotten_revision INTEGER NOT NULL DEFAULT 0;
-- A restored backup gets another one, because its changes are not those that clients have seen.
ALTER TABLE users ADD COLUMN history TEXT NOT NULL DEFAULT '';

-- When the content was made, and its time zone in minutes east of UTC.
ALTER TABLE files ADD COLUMN taken_at INTEGER;
ALTER TABLE files ADD COLUMN taken_offset INTEGER NOT NULL DEFAULT 0;
-- The date of the file in lists: taken_at, or created_at without one.
ALTER TABLE files ADD COLUMN dated_at INTEGER NOT NULL DEFAULT 0;
-- When all bytes of the version were last read back and opened.
ALTER TABLE files ADD COLUMN verified_at INTEGER;
-- When the version was last read back and did not open; NULL if it opened since, or was never read back.
ALTER TABLE files ADD COLUMN failed_at INTEGER;
-- The tag and the size of the thumbnail.
ALTER TABLE files ADD COLUMN thumbnail TEXT;
ALTER TABLE files ADD COLUMN thumbnail_size INTEGER NOT NULL DEFAULT 0;
-- The number of the last change of a live file.
ALTER TABLE files ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
UPDATE files SET dated_at = created_at;
UPDATE files SET revision = numbered.revision
FROM (
  SELECT id, row_number() OVER (PARTITION BY user_id ORDER BY updated_at, id) AS revision FROM files WHERE deleted_at IS NULL
) AS numbered
WHERE files.id = numbered.id;
UPDATE users SET history = lower(hex(randomblob(8))), revision = coalesce((SELECT max(revision) FROM files WHERE user_id = users.id AND deleted_at IS NULL), 0);
CREATE INDEX files_by_dated_at ON files (user_id, dated_at, id) WHERE deleted_at IS NULL;
CREATE INDEX files_by_revision ON files (user_id, revision) WHERE deleted_at IS NULL;
CREATE INDEX files_by_verified_at ON files (coalesce(failed_at, verified_at, 0), id);

-- Files that are not live any more. A file that is restored has none.
CREATE TABLE tombstones (
  user_id TEXT NOT NULL,
  file_id TEXT NOT NULL,
  revision INTEGER NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (user_id, file_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX tombstones_by_revision ON tombstones (user_id, revision);
CREATE INDEX tombstones_by_age ON tombstones (at);

CREATE TABLE thumbnails (
  tag TEXT PRIMARY KEY,
  user_id TEXT NOT NULL,
  content_type TEXT NOT NULL,
  sealed BLOB NOT NULL
) STRICT;

ALTER TABLE devices ADD COLUMN name TEXT;
`

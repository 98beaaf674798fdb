/**
 * For apps that keep a phone's photos: dates taken, thumbnails, reads that verify contents, changes, and names of devices.
 * Servers of the former schema must not run beside this one: they would not number their changes.
 */
export const photos = `
-- The number of the user's last change. Every change of the user's live files gets the next number.
ALTER TABLE users ADD COLUMN revision bigint NOT NULL DEFAULT 0;
-- The number of the latest change whose tombstone was deleted.
ALTER TABLE users ADD COLUMN forgotten_revision bigint NOT NULL DEFAULT 0;
-- A restored backup gets another one, because its changes are not those that clients have seen.
ALTER TABLE users ADD COLUMN history text NOT NULL DEFAULT '';

-- When the content was made, and its time zone in minutes east of UTC.
ALTER TABLE files ADD COLUMN taken_at bigint;
ALTER TABLE files ADD COLUMN taken_offset bigint NOT NULL DEFAULT 0;
-- The date of the file in lists: taken_at, or created_at without one.
ALTER TABLE files ADD COLUMN dated_at bigint NOT NULL DEFAULT 0;
-- When all bytes of the version were last read back and opened.
ALTER TABLE files ADD COLUMN verified_at bigint;
-- When the version was last read back and did not open; NULL if it opened since, or was never read back.
ALTER TABLE files ADD COLUMN failed_at bigint;
-- The tag and the size of the thumbnail.
ALTER TABLE files ADD COLUMN thumbnail text COLLATE "C";
ALTER TABLE files ADD COLUMN thumbnail_size bigint NOT NULL DEFAULT 0;
-- The number of the last change of a live file.
ALTER TABLE files ADD COLUMN revision bigint NOT NULL DEFAULT 0;
UPDATE files SET dated_at = created_at;
UPDATE files SET revision = numbered.revision
FROM (
  SELECT id, row_number() OVER (PARTITION BY user_id ORDER BY updated_at, id) AS revision FROM files WHERE deleted_at IS NULL
) AS numbered
WHERE files.id = numbered.id;
UPDATE users SET history = replace(gen_random_uuid()::text, '-', ''), revision = coalesce((SELECT max(revision) FROM files WHERE user_id = users.id AND deleted_at IS NULL), 0);
CREATE INDEX files_by_dated_at ON files (user_id, dated_at, id) WHERE deleted_at IS NULL;
CREATE INDEX files_by_revision ON files (user_id, revision) WHERE deleted_at IS NULL;
CREATE INDEX files_by_verified_at ON files (coalesce(failed_at, verified_at, 0), id);

-- Files that are not live any more. A file that is restored has none.
CREATE TABLE tombstones (
  user_id text COLLATE "C" NOT NULL,
  file_id text COLLATE "C" NOT NULL,
  revision bigint NOT NULL,
  at bigint NOT NULL,
  PRIMARY KEY (user_id, file_id)
);
CREATE INDEX tombstones_by_revision ON tombstones (user_id, revision);
CREATE INDEX tombstones_by_age ON tombstones (at);

CREATE TABLE thumbnails (
  tag text COLLATE "C" PRIMARY KEY,
  user_id text COLLATE "C" NOT NULL,
  content_type text NOT NULL,
  sealed bytea NOT NULL
);

ALTER TABLE devices ADD COLUMN name text;

DROP FUNCTION IF EXISTS commit_file, rename_file, redeem_pin;
`

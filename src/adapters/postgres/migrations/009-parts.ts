/**
 * A file has a version, and a version has parts. Until now a file had one blob, which also identified the version: its id
 * stays as the id of the version. Garbage is now versions, and their parts name the blobs that are still to be deleted.
 * Servers of the former schema must not run beside this one.
 */
export const parts = `
ALTER TABLE files RENAME COLUMN blob TO version;
ALTER TABLE garbage RENAME COLUMN blob TO version;

CREATE TABLE parts (
  version text COLLATE "C" NOT NULL,
  -- The place of the part's first byte in the version.
  start bigint NOT NULL,
  size bigint NOT NULL,
  blob text COLLATE "C" NOT NULL UNIQUE,
  -- The part's own key; NULL for the only part of a version, which is sealed under the file key.
  seal bytea,
  PRIMARY KEY (version, start)
);
INSERT INTO parts (version, start, size, blob) SELECT version, 0, size, version FROM files;
INSERT INTO parts (version, start, size, blob) SELECT version, 0, 0, version FROM garbage;

DROP FUNCTION IF EXISTS commit_file, rename_file, discard_file, restore_file, drop_files, note_activity, fold_activity,
  redeem_pin;
`

/**
 * A file has a version, and a version has parts. Until now a file had one blob, which also identified the version: its id
 * stays as the id of the version. Garbage is now versions, and their parts name the blobs that are still to be deleted.
 */
export const parts = `
ALTER TABLE files RENAME COLUMN blob TO version;
ALTER TABLE garbage RENAME COLUMN blob TO version;

CREATE TABLE parts (
  version TEXT NOT NULL,
  -- The place of the part's first byte in the version.
  start INTEGER NOT NULL,
  size INTEGER NOT NULL,
  blob TEXT NOT NULL UNIQUE,
  -- The part's own key; NULL for the only part of a version, which is sealed under the file key.
  seal BLOB,
  PRIMARY KEY (version, start)
) STRICT, WITHOUT ROWID;
INSERT INTO parts (version, start, size, blob) SELECT version, 0, size, version FROM files ORDER BY version;
INSERT INTO parts (version, start, size, blob) SELECT version, 0, 0, version FROM garbage;
`

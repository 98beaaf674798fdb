/** Read-backs that failed. A file is read back again in the order of its last attempt, whatever the result was. */
export const readBack = `
-- When the version was last read back and did not open; NULL if it opened since, or was never read back.
ALTER TABLE files ADD COLUMN failed_at bigint;
DROP INDEX files_by_verified_at;
CREATE INDEX files_by_verified_at ON files (coalesce(failed_at, verified_at, 0), id);
`

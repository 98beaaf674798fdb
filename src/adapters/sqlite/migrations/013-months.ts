/** For counting files by month in an index alone. */
export const months = `
-- \`deleted_at\` is always NULL here. Without it SQLite would read each row of the table to look at it.
DROP INDEX files_by_dated_at;
CREATE INDEX files_by_dated_at ON files (user_id, dated_at, id, deleted_at) WHERE deleted_at IS NULL;
`

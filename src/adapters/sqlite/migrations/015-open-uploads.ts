/** For counting the uploads of a user, and for finding the expired ones, in indexes alone. */
export const openUploads = `
-- Without \`file_id\` SQLite would read each row, and a row may have 16 KiB of what the client says of its upload.
DROP INDEX uploads_of_user;
CREATE INDEX uploads_of_user ON uploads (user_id, file_id, created_at, id);
CREATE INDEX uploads_of_user_by_age ON uploads (user_id, touched_at);
`

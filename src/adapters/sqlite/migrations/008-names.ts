/**
 * When a content came to stand under its name, which dates of HTTP go by; and of each user the last such moment of a content that
 * left its name. What was renamed or restored before is taken for what it was.
 */
export const names = `
ALTER TABLE files ADD COLUMN named_at INTEGER NOT NULL DEFAULT 0;
UPDATE files SET named_at = updated_at;
ALTER TABLE users ADD COLUMN vacated_at INTEGER NOT NULL DEFAULT 0;
UPDATE users SET vacated_at = coalesce((SELECT max(named_at) FROM files WHERE user_id = users.id), 0);
`

/**
 * `files.named_at` is the time when a content got its name; HTTP dates use it. `users.vacated_at` is the latest such time of
 * a user's contents that left their names. Earlier renames and restores are unknown, so earlier rows get `updated_at`.
 */
export const names = `
ALTER TABLE files ADD COLUMN named_at INTEGER NOT NULL DEFAULT 0;
UPDATE files SET named_at = updated_at;
ALTER TABLE users ADD COLUMN vacated_at INTEGER NOT NULL DEFAULT 0;
UPDATE users SET vacated_at = coalesce((SELECT max(named_at) FROM files WHERE user_id = users.id), 0);
`

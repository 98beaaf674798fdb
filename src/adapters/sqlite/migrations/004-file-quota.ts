/** For the quota of files, deleted files are counted separately from live ones. */
export const fileQuota = `
ALTER TABLE users ADD COLUMN trash_count INTEGER NOT NULL DEFAULT 0 CHECK (trash_count >= 0);
UPDATE users SET trash_count =
  (SELECT count(*) FROM files WHERE user_id = users.id AND deleted_at IS NOT NULL);
`

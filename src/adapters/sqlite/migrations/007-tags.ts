/**
 * Files of one content are found by a keyed tag of it, also in the trash. Rows from before have none: the sweeper fills
 * them in (`src/vault/files/tags.ts`).
 */
export const tags = `
ALTER TABLE files ADD COLUMN tag BLOB;
CREATE INDEX files_by_tag ON files (user_id, tag, deleted_at, name);
CREATE INDEX files_untagged ON files (id) WHERE tag IS NULL;
`

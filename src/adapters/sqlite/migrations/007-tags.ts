/**
 * Files with equal contents are found by a keyed tag of the content, also in the trash. Earlier rows have no tag: the
 * sweeper adds it (`src/vault/files/tags.ts`).
 */
export const tags = `
ALTER TABLE files ADD COLUMN tag BLOB;
CREATE INDEX files_by_tag ON files (user_id, tag, deleted_at, name);
CREATE INDEX files_untagged ON files (id) WHERE tag IS NULL;
`

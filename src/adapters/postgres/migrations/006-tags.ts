/**
 * Files with equal contents are found by a keyed tag of the content, also in the trash. Earlier rows have no tag: the
 * sweeper adds it (`src/vault/files/tags.ts`). Servers of the previous version call `commit_file` without a tag, so their
 * rows have none.
 */
export const tags = `
ALTER TABLE files ADD COLUMN tag bytea;
CREATE INDEX IF NOT EXISTS files_by_tag ON files (user_id, tag, deleted_at, name);
CREATE INDEX IF NOT EXISTS files_untagged ON files (id) WHERE tag IS NULL;

DROP FUNCTION commit_file(text, text, text, bigint, text, bigint, bigint, text, bytea, text, bigint, bigint);
CREATE FUNCTION commit_file(
  owner text, new_id text, new_name text, new_size bigint, new_type text, new_created_at bigint, new_updated_at bigint,
  new_blob text, new_seal bytea, seen_blob text, quota bigint, file_quota bigint DEFAULT NULL,
  new_tag bytea DEFAULT NULL
) RETURNS TABLE (answer text) LANGUAGE plpgsql AS $$
DECLARE
  new_run text := split_part(new_blob, '/', 1);
  used record;
  standing record;
  grown bigint;
  added bigint;
BEGIN
  PERFORM pg_advisory_xact_lock_shared(run_lock(new_run));
  IF NOT EXISTS (SELECT FROM runs WHERE id = new_run AND NOT ended)
    OR EXISTS (SELECT FROM renounced WHERE blob = new_blob) THEN
    RETURN QUERY SELECT 'run-ended'; RETURN;
  END IF;
  SELECT byte_count AS bytes, file_count + trash_count AS files INTO used FROM users WHERE id = owner
    FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RETURN QUERY SELECT 'gone'; RETURN;
  END IF;
  SELECT blob, size INTO standing FROM files WHERE user_id = owner AND name = new_name AND deleted_at IS NULL;
  IF standing.blob IS DISTINCT FROM seen_blob THEN
    RETURN QUERY SELECT 'stale'; RETURN;
  END IF;
  grown := new_size - coalesce(standing.size, 0);
  added := (seen_blob IS NULL)::integer;
  -- Who is over the quota already may still make a file smaller.
  IF grown > 0 AND used.bytes + grown > quota THEN
    RETURN QUERY SELECT 'quota'; RETURN;
  END IF;
  IF added > 0 AND used.files + added > file_quota THEN
    RETURN QUERY SELECT 'quota-files'; RETURN;
  END IF;
  IF seen_blob IS NULL THEN
    INSERT INTO files (id, user_id, name, size, content_type, created_at, updated_at, blob, seal, tag)
    VALUES (new_id, owner, new_name, new_size, new_type, new_created_at, new_updated_at, new_blob, new_seal, new_tag);
  ELSE
    UPDATE files SET size = new_size, content_type = new_type, updated_at = new_updated_at, blob = new_blob,
      seal = new_seal, tag = new_tag WHERE user_id = owner AND name = new_name AND deleted_at IS NULL;
    INSERT INTO garbage (blob) VALUES (seen_blob);
  END IF;
  UPDATE users SET file_count = file_count + added, byte_count = byte_count + grown WHERE id = owner;
  RETURN QUERY SELECT 'done';
END $$;
`

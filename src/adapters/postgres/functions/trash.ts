/** The trash and the garbage. */
export const trash = `
CREATE OR REPLACE FUNCTION discard_file(owner text, seen_id text, seen_name text, seen_version text, at bigint)
RETURNS TABLE (answer text) LANGUAGE plpgsql AS $$
DECLARE
  formerly bigint;
BEGIN
  PERFORM FROM users WHERE id = owner FOR NO KEY UPDATE;
  UPDATE files SET deleted_at = at WHERE id = seen_id AND user_id = owner AND name = seen_name AND version = seen_version
    AND deleted_at IS NULL RETURNING named_at INTO formerly;
  IF NOT FOUND THEN
    RETURN QUERY SELECT 'stale'; RETURN;
  END IF;
  UPDATE users SET file_count = file_count - 1, trash_count = trash_count + 1 WHERE id = owner;
  PERFORM bury_file(owner, seen_id, at);
  PERFORM vacate_name(owner, seen_name, formerly, at);
  RETURN QUERY SELECT 'done';
END $$;

CREATE OR REPLACE FUNCTION restore_file(
  owner text, seen_id text, seen_version text, new_name text, at bigint
) RETURNS TABLE (answer text) LANGUAGE plpgsql AS $$
DECLARE
  vacated bigint;
  number bigint;
BEGIN
  SELECT vacated_at INTO vacated FROM users WHERE id = owner FOR NO KEY UPDATE;
  PERFORM FROM files WHERE id = seen_id AND user_id = owner AND version = seen_version AND deleted_at IS NOT NULL;
  IF NOT FOUND THEN
    RETURN QUERY SELECT 'stale'; RETURN;
  END IF;
  IF EXISTS (SELECT FROM files WHERE user_id = owner AND name = new_name AND deleted_at IS NULL) THEN
    RETURN QUERY SELECT 'taken'; RETURN;
  END IF;
  UPDATE users SET file_count = file_count + 1, trash_count = trash_count - 1, revision = revision + 1 WHERE id = owner
    RETURNING revision INTO number;
  DELETE FROM tombstones WHERE user_id = owner AND file_id = seen_id;
  UPDATE files SET deleted_at = NULL, name = new_name, named_at = take_name(owner, new_name, at, vacated), revision = number
    WHERE id = seen_id;
  RETURN QUERY SELECT 'done';
END $$;

-- Removes for good those of the files that were deleted up to a time. Returns their versions, which are garbage now.
CREATE OR REPLACE FUNCTION drop_files(ids text[], deleted_until bigint)
RETURNS TABLE (dropped_version text) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM users WHERE id IN (SELECT user_id FROM files WHERE id = ANY (ids)) ORDER BY id FOR NO KEY UPDATE;
  RETURN QUERY
    WITH dropped AS (
      DELETE FROM files WHERE id = ANY (ids) AND deleted_at <= deleted_until
        RETURNING user_id, size + thumbnail_size AS size, version, thumbnail
    ), discarded AS (
      INSERT INTO garbage (version) SELECT version FROM dropped
    ), without_thumbnails AS (
      DELETE FROM thumbnails WHERE tag IN (SELECT thumbnail FROM dropped)
    ), freed AS (
      UPDATE users SET byte_count = byte_count - bytes, trash_count = trash_count - entries
      FROM (
        SELECT user_id, sum(size)::bigint AS bytes, count(*) AS entries FROM dropped GROUP BY user_id
      ) AS freed_by
      WHERE users.id = freed_by.user_id
    )
    SELECT version FROM dropped;
END $$;

-- Deletes the parts of these blobs of the garbage, and each version that has no part any more.
CREATE OR REPLACE FUNCTION forget_garbage(blobs text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  versions text[] := ARRAY(SELECT DISTINCT version FROM parts JOIN garbage USING (version) WHERE blob = ANY (blobs));
BEGIN
  PERFORM FROM garbage WHERE version = ANY (versions) ORDER BY position FOR UPDATE;
  DELETE FROM parts WHERE blob = ANY (blobs) AND version = ANY (versions);
  DELETE FROM garbage WHERE version = ANY (versions) AND NOT EXISTS (SELECT FROM parts WHERE parts.version = garbage.version);
END $$;
`

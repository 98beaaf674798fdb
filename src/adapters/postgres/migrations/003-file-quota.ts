/**
 * For the quota of files, deleted files are counted separately from live ones. New parameters of functions have defaults, so
 * servers of the previous version keep working.
 */
export const fileQuota = `
ALTER TABLE users ADD COLUMN trash_count bigint NOT NULL DEFAULT 0 CHECK (trash_count >= 0);
UPDATE users SET trash_count = trash.count
  FROM (SELECT user_id, count(*) FROM files WHERE deleted_at IS NOT NULL GROUP BY user_id) AS trash
  WHERE users.id = trash.user_id;

DROP FUNCTION commit_file(text, text, text, bigint, text, bigint, bigint, text, bytea, text, bigint);
CREATE FUNCTION commit_file(
  owner text, new_id text, new_name text, new_size bigint, new_type text, new_created_at bigint, new_updated_at bigint,
  new_blob text, new_seal bytea, seen_blob text, quota bigint, file_quota bigint DEFAULT NULL
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
    INSERT INTO files (id, user_id, name, size, content_type, created_at, updated_at, blob, seal)
    VALUES (new_id, owner, new_name, new_size, new_type, new_created_at, new_updated_at, new_blob, new_seal);
  ELSE
    UPDATE files SET size = new_size, content_type = new_type, updated_at = new_updated_at, blob = new_blob,
      seal = new_seal WHERE user_id = owner AND name = new_name AND deleted_at IS NULL;
    INSERT INTO garbage (blob) VALUES (seen_blob);
  END IF;
  UPDATE users SET file_count = file_count + added, byte_count = byte_count + grown WHERE id = owner;
  RETURN QUERY SELECT 'done';
END $$;

CREATE OR REPLACE FUNCTION discard_file(owner text, seen_id text, seen_name text, seen_blob text, at bigint)
RETURNS TABLE (answer text) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM users WHERE id = owner FOR NO KEY UPDATE;
  UPDATE files SET deleted_at = at WHERE id = seen_id AND user_id = owner AND name = seen_name AND blob = seen_blob
    AND deleted_at IS NULL;
  IF NOT FOUND THEN
    RETURN QUERY SELECT 'stale'; RETURN;
  END IF;
  UPDATE users SET file_count = file_count - 1, trash_count = trash_count + 1 WHERE id = owner;
  RETURN QUERY SELECT 'done';
END $$;

CREATE OR REPLACE FUNCTION restore_file(owner text, seen_id text, seen_blob text, new_name text)
RETURNS TABLE (answer text) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM users WHERE id = owner FOR NO KEY UPDATE;
  PERFORM FROM files WHERE id = seen_id AND user_id = owner AND blob = seen_blob AND deleted_at IS NOT NULL;
  IF NOT FOUND THEN
    RETURN QUERY SELECT 'stale'; RETURN;
  END IF;
  IF EXISTS (SELECT FROM files WHERE user_id = owner AND name = new_name AND deleted_at IS NULL) THEN
    RETURN QUERY SELECT 'taken'; RETURN;
  END IF;
  UPDATE files SET deleted_at = NULL, name = new_name WHERE id = seen_id;
  UPDATE users SET file_count = file_count + 1, trash_count = trash_count - 1 WHERE id = owner;
  RETURN QUERY SELECT 'done';
END $$;

CREATE OR REPLACE FUNCTION drop_files(ids text[], deleted_until bigint)
RETURNS TABLE (dropped_blob text) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM users WHERE id IN (SELECT user_id FROM files WHERE id = ANY (ids)) ORDER BY id FOR NO KEY UPDATE;
  RETURN QUERY
    WITH dropped AS (
      DELETE FROM files WHERE id = ANY (ids) AND deleted_at <= deleted_until RETURNING user_id, size, blob
    ), booked AS (
      INSERT INTO garbage (blob) SELECT blob FROM dropped
    ), freed AS (
      UPDATE users SET byte_count = byte_count - bytes, trash_count = trash_count - entries
      FROM (
        SELECT user_id, sum(size)::bigint AS bytes, count(*) AS entries FROM dropped GROUP BY user_id
      ) AS freed_by
      WHERE users.id = freed_by.user_id
    )
    SELECT blob FROM dropped;
END $$;
`

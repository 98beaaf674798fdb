/**
 * `files.named_at` is the time when a content got its name; HTTP dates use it. `users.vacated_at` is the latest such time of
 * a user's contents that left their names. A replaced version becomes an entry of the trash.
 * New parameters of functions have defaults, so servers of the previous version keep working.
 */
export const names = `
ALTER TABLE files ADD COLUMN named_at bigint NOT NULL DEFAULT 0;
UPDATE files SET named_at = updated_at;
ALTER TABLE users ADD COLUMN vacated_at bigint NOT NULL DEFAULT 0;
UPDATE users SET vacated_at = latest FROM (SELECT user_id, max(named_at) AS latest FROM files GROUP BY user_id) AS named
  WHERE users.id = named.user_id;

-- This time, or the first moment of the second after the other where that is later.
CREATE FUNCTION later_second(at bigint, other bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN other = 0 THEN at ELSE greatest(at, (other / 1000 + 1) * 1000) END
$$;

DROP FUNCTION commit_file(text, text, text, bigint, text, bigint, bigint, text, bytea, text, bigint, bigint, bytea);
CREATE FUNCTION commit_file(
  owner text, new_id text, new_name text, new_size bigint, new_type text, new_created_at bigint, new_updated_at bigint,
  new_blob text, new_seal bytea, seen_blob text, quota bigint, file_quota bigint DEFAULT NULL,
  new_tag bytea DEFAULT NULL, new_named_at bigint DEFAULT NULL, entry_id text DEFAULT NULL, entry_seal bytea DEFAULT NULL,
  entry_deleted_at bigint DEFAULT NULL
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
  SELECT byte_count AS bytes, file_count + trash_count AS files, vacated_at INTO used FROM users WHERE id = owner
    FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RETURN QUERY SELECT 'gone'; RETURN;
  END IF;
  SELECT * INTO standing FROM files WHERE user_id = owner AND name = new_name AND deleted_at IS NULL;
  IF standing.blob IS DISTINCT FROM seen_blob THEN
    RETURN QUERY SELECT 'stale'; RETURN;
  END IF;
  grown := new_size - CASE WHEN entry_id IS NULL THEN coalesce(standing.size, 0) ELSE 0 END;
  added := (seen_blob IS NULL OR entry_id IS NOT NULL)::integer;
  -- Who is over the quota already may still make a file smaller.
  IF grown > 0 AND used.bytes + grown > quota THEN
    RETURN QUERY SELECT 'quota'; RETURN;
  END IF;
  IF added > 0 AND used.files + added > file_quota THEN
    RETURN QUERY SELECT 'quota-files'; RETURN;
  END IF;
  new_named_at := coalesce(new_named_at, new_updated_at);
  IF new_updated_at IS DISTINCT FROM standing.updated_at THEN
    new_named_at := later_second(new_named_at, greatest(used.vacated_at, standing.named_at));
  END IF;
  IF seen_blob IS NULL THEN
    INSERT INTO files (id, user_id, name, size, content_type, created_at, updated_at, named_at, blob, seal, tag)
    VALUES (new_id, owner, new_name, new_size, new_type, new_created_at, new_updated_at,
      new_named_at, new_blob, new_seal, new_tag);
  ELSE
    UPDATE files SET size = new_size, content_type = new_type, updated_at = new_updated_at,
      named_at = new_named_at, blob = new_blob, seal = new_seal, tag = new_tag
      WHERE id = standing.id;
    IF entry_id IS NULL THEN
      INSERT INTO garbage (blob) VALUES (seen_blob);
    ELSE
      INSERT INTO files (id, user_id, name, size, content_type, created_at, updated_at, named_at, blob, seal, tag, deleted_at)
      VALUES (entry_id, owner, standing.name, standing.size, standing.content_type, standing.created_at,
        standing.updated_at, standing.named_at, standing.blob, entry_seal, standing.tag, entry_deleted_at);
    END IF;
  END IF;
  UPDATE users SET file_count = file_count + (seen_blob IS NULL)::integer, byte_count = byte_count + grown,
    trash_count = trash_count + (entry_id IS NOT NULL)::integer WHERE id = owner;
  RETURN QUERY SELECT 'done';
END $$;

DROP FUNCTION rename_file(text, text, text, text, text);
CREATE FUNCTION rename_file(owner text, seen_id text, seen_name text, seen_blob text, new_name text, at bigint DEFAULT NULL)
RETURNS TABLE (answer text) LANGUAGE plpgsql AS $$
DECLARE
  vacated bigint;
  formerly bigint;
BEGIN
  SELECT vacated_at INTO vacated FROM users WHERE id = owner FOR NO KEY UPDATE;
  SELECT named_at INTO formerly FROM files WHERE id = seen_id AND user_id = owner AND name = seen_name AND blob = seen_blob
    AND deleted_at IS NULL;
  IF NOT FOUND THEN
    RETURN QUERY SELECT 'stale'; RETURN;
  END IF;
  IF new_name = seen_name THEN
    RETURN QUERY SELECT 'done'; RETURN;
  END IF;
  IF EXISTS (SELECT FROM files WHERE user_id = owner AND name = new_name AND deleted_at IS NULL) THEN
    RETURN QUERY SELECT 'taken'; RETURN;
  END IF;
  UPDATE files SET name = new_name, named_at = later_second(coalesce(at, named_at), vacated) WHERE id = seen_id;
  UPDATE users SET vacated_at = greatest(vacated_at, formerly) WHERE id = owner;
  RETURN QUERY SELECT 'done';
END $$;

DROP FUNCTION restore_file(text, text, text, text);
CREATE FUNCTION restore_file(owner text, seen_id text, seen_blob text, new_name text, at bigint DEFAULT NULL)
RETURNS TABLE (answer text) LANGUAGE plpgsql AS $$
DECLARE
  vacated bigint;
BEGIN
  SELECT vacated_at INTO vacated FROM users WHERE id = owner FOR NO KEY UPDATE;
  PERFORM FROM files WHERE id = seen_id AND user_id = owner AND blob = seen_blob AND deleted_at IS NOT NULL;
  IF NOT FOUND THEN
    RETURN QUERY SELECT 'stale'; RETURN;
  END IF;
  IF EXISTS (SELECT FROM files WHERE user_id = owner AND name = new_name AND deleted_at IS NULL) THEN
    RETURN QUERY SELECT 'taken'; RETURN;
  END IF;
  UPDATE files SET deleted_at = NULL, name = new_name, named_at = later_second(coalesce(at, named_at), vacated)
    WHERE id = seen_id;
  UPDATE users SET file_count = file_count + 1, trash_count = trash_count - 1 WHERE id = owner;
  RETURN QUERY SELECT 'done';
END $$;

CREATE OR REPLACE FUNCTION discard_file(owner text, seen_id text, seen_name text, seen_blob text, at bigint)
RETURNS TABLE (answer text) LANGUAGE plpgsql AS $$
DECLARE
  formerly bigint;
BEGIN
  PERFORM FROM users WHERE id = owner FOR NO KEY UPDATE;
  UPDATE files SET deleted_at = at WHERE id = seen_id AND user_id = owner AND name = seen_name AND blob = seen_blob
    AND deleted_at IS NULL RETURNING named_at INTO formerly;
  IF NOT FOUND THEN
    RETURN QUERY SELECT 'stale'; RETURN;
  END IF;
  UPDATE users SET file_count = file_count - 1, trash_count = trash_count + 1,
    vacated_at = greatest(vacated_at, formerly) WHERE id = owner;
  RETURN QUERY SELECT 'done';
END $$;
`

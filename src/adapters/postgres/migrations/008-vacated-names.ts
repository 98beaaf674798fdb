/**
 * The date of each name that has no file: the time when its last content got it. A row is deleted once the second of its
 * date has passed, because any new date is later then, unless the clock is set back. For that case `users.vacated_at` is
 * from now on the latest date of all deleted rows of the user, and every new date of the user's names is after it. With a
 * correct clock it is in the past and changes no date.
 * No function changes its parameters or its result, so servers of the previous version keep working.
 */
export const vacatedNames = `
CREATE TABLE vacated_names (
  user_id text COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  name text COLLATE "C" NOT NULL,
  named_at bigint NOT NULL,
  PRIMARY KEY (user_id, name)
);
CREATE INDEX vacated_names_of_user ON vacated_names (user_id, named_at);
CREATE INDEX vacated_names_by_date ON vacated_names (named_at);

-- The date of a content that comes to a name, after the other date and that of the name. The name is not vacated any more.
-- The caller has locked the user's row.
CREATE FUNCTION take_name(owner text, new_name text, at bigint, other bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  formerly bigint;
BEGIN
  DELETE FROM vacated_names WHERE user_id = owner AND name = new_name RETURNING named_at INTO formerly;
  RETURN later_second(at, greatest(other, formerly));
END $$;

-- Keeps the date of a content that leaves a name at a time, which a server of an older version does not say. A user has at
-- most 500 rows; then the earliest are forgotten, also where their second has not passed. The caller has locked the user's row.
CREATE FUNCTION vacate_name(owner text, old_name text, formerly bigint, at bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  passed bigint := at / 1000 * 1000;
  latest bigint;
BEGIN
  IF formerly < passed THEN
    latest := formerly;
  ELSE
    INSERT INTO vacated_names (user_id, name, named_at) VALUES (owner, old_name, formerly)
    ON CONFLICT (user_id, name) DO UPDATE SET named_at = greatest(vacated_names.named_at, excluded.named_at);
  END IF;
  IF EXISTS (SELECT FROM vacated_names WHERE user_id = owner OFFSET 500) THEN
    passed := 9223372036854775807;
  END IF;
  WITH forgotten AS (
    DELETE FROM vacated_names WHERE user_id = owner AND name IN (
      SELECT name FROM vacated_names WHERE user_id = owner AND named_at < passed ORDER BY named_at LIMIT 100)
    RETURNING named_at)
  SELECT greatest(latest, max(named_at)) INTO latest FROM forgotten;
  UPDATE users SET vacated_at = latest WHERE id = owner AND vacated_at < latest;
END $$;

-- Forgets so many rows of all users whose second has passed at this time; answers how many.
CREATE FUNCTION forget_vacated_names(at bigint, most bigint) RETURNS TABLE (forgotten bigint) LANGUAGE plpgsql AS $$
DECLARE
  passed bigint := at / 1000 * 1000;
  owners text[] := ARRAY(SELECT user_id FROM vacated_names WHERE named_at < passed ORDER BY named_at LIMIT most);
BEGIN
  PERFORM FROM users WHERE id = ANY (owners) ORDER BY id FOR NO KEY UPDATE;
  RETURN QUERY
    WITH dropped AS (
      DELETE FROM vacated_names WHERE (user_id, name) IN (
        SELECT user_id, name FROM vacated_names WHERE named_at < passed AND user_id = ANY (owners)
        ORDER BY named_at LIMIT most)
      RETURNING user_id, named_at
    ), raised AS (
      UPDATE users SET vacated_at = greatest(vacated_at, latest)
      FROM (SELECT user_id, max(named_at) AS latest FROM dropped GROUP BY user_id) AS dropped_of
      WHERE users.id = dropped_of.user_id
    )
    SELECT count(*) FROM dropped;
END $$;

CREATE OR REPLACE FUNCTION commit_file(
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
    new_named_at := take_name(owner, new_name, new_named_at, greatest(used.vacated_at, standing.named_at));
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

CREATE OR REPLACE FUNCTION rename_file(
  owner text, seen_id text, seen_name text, seen_blob text, new_name text, at bigint DEFAULT NULL
) RETURNS TABLE (answer text) LANGUAGE plpgsql AS $$
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
  UPDATE files SET name = new_name, named_at = take_name(owner, new_name, coalesce(at, named_at), vacated)
    WHERE id = seen_id;
  PERFORM vacate_name(owner, seen_name, formerly, at);
  RETURN QUERY SELECT 'done';
END $$;

CREATE OR REPLACE FUNCTION restore_file(
  owner text, seen_id text, seen_blob text, new_name text, at bigint DEFAULT NULL
) RETURNS TABLE (answer text) LANGUAGE plpgsql AS $$
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
  UPDATE files SET deleted_at = NULL, name = new_name,
    named_at = take_name(owner, new_name, coalesce(at, named_at), vacated) WHERE id = seen_id;
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
  UPDATE users SET file_count = file_count - 1, trash_count = trash_count + 1 WHERE id = owner;
  PERFORM vacate_name(owner, seen_name, formerly, at);
  RETURN QUERY SELECT 'done';
END $$;
`

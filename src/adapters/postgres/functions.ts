/**
 * Functions for the transactions that have several statements, each in one round trip. Each statement sees all earlier
 * commits (READ COMMITTED), so a value read under a lock is true until the end of the transaction. All functions take locks
 * in one order: a run or a PIN, then users, then the rest. They are replaced whenever a migration runs.
 */
export const functions = `
-- This time, or the first moment of the second after the other where that is later.
CREATE OR REPLACE FUNCTION later_second(at bigint, other bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN other = 0 THEN at ELSE greatest(at, (other / 1000 + 1) * 1000) END
$$;

-- Returns the date of a content that gets a name, after the other date and that of the name. The name is no longer vacated.
-- The caller has locked the user's row.
CREATE OR REPLACE FUNCTION take_name(owner text, new_name text, at bigint, other bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
  formerly bigint;
BEGIN
  DELETE FROM vacated_names WHERE user_id = owner AND name = new_name RETURNING named_at INTO formerly;
  RETURN later_second(at, greatest(other, formerly));
END $$;

-- Keeps the date of a content that leaves a name at this time. A user has at most 500 rows: beyond that the earliest are
-- deleted, even if their second has not passed. The caller has locked the user's row.
CREATE OR REPLACE FUNCTION vacate_name(owner text, old_name text, formerly bigint, at bigint) RETURNS void LANGUAGE plpgsql AS $$
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

-- Deletes at most \`most\` rows, of all users, whose second has passed at this time; returns their number.
CREATE OR REPLACE FUNCTION forget_vacated_names(at bigint, most bigint) RETURNS TABLE (forgotten bigint) LANGUAGE plpgsql AS $$
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

-- Takes the number of a change that makes a file not live any more. Tombstones of changes far back are deleted, so that a
-- user who stores and deletes all the time has a bounded number. The caller has locked the user's row.
CREATE OR REPLACE FUNCTION bury_file(owner text, gone_id text, gone_at bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  number bigint;
BEGIN
  UPDATE users SET revision = revision + 1 WHERE id = owner RETURNING revision INTO number;
  INSERT INTO tombstones (user_id, file_id, revision, at) VALUES (owner, gone_id, number, gone_at)
  ON CONFLICT (user_id, file_id) DO UPDATE SET revision = excluded.revision, at = excluded.at;
  WITH dropped AS (
    DELETE FROM tombstones WHERE user_id = owner AND file_id IN (
      SELECT file_id FROM tombstones WHERE user_id = owner AND tombstones.revision <= number - 1000000
      ORDER BY tombstones.revision LIMIT 10)
    RETURNING revision)
  UPDATE users SET forgotten_revision = greatest(forgotten_revision, (SELECT max(revision) FROM dropped))
    WHERE id = owner AND EXISTS (SELECT FROM dropped);
END $$;

-- Deletes at most \`most\` tombstones, of all users, of files that are gone since this time or longer; returns their number.
CREATE OR REPLACE FUNCTION forget_tombstones(until bigint, most bigint) RETURNS TABLE (forgotten bigint) LANGUAGE plpgsql AS $$
DECLARE
  owners text[] := ARRAY(SELECT user_id FROM tombstones WHERE at <= until ORDER BY at LIMIT most);
BEGIN
  PERFORM FROM users WHERE id = ANY (owners) ORDER BY id FOR NO KEY UPDATE;
  RETURN QUERY
    WITH dropped AS (
      DELETE FROM tombstones WHERE (user_id, file_id) IN (
        SELECT user_id, file_id FROM tombstones WHERE at <= until AND user_id = ANY (owners) ORDER BY at LIMIT most)
      RETURNING user_id, revision
    ), raised AS (
      UPDATE users SET forgotten_revision = greatest(forgotten_revision, latest)
      FROM (SELECT user_id, max(revision) AS latest FROM dropped GROUP BY user_id) AS dropped_of
      WHERE users.id = dropped_of.user_id
    )
    SELECT count(*) FROM dropped;
END $$;

-- A commit that names a blob has the lock of its run shared. Ending the run, or giving up one of its blobs, has it alone.
CREATE OR REPLACE FUNCTION run_lock(run text) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT hashtextextended('run ' || run, 0)
$$;

-- Whether a commit may name the blob: its run goes on, and the blob was not given up. Locks the run until the end.
CREATE OR REPLACE FUNCTION may_name(new_blob text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  new_run text := split_part(new_blob, '/', 1);
BEGIN
  PERFORM pg_advisory_xact_lock_shared(run_lock(new_run));
  RETURN EXISTS (SELECT FROM runs WHERE id = new_run AND NOT ended)
    AND NOT EXISTS (SELECT FROM renounced WHERE blob = new_blob);
END $$;

CREATE OR REPLACE FUNCTION create_upload(
  owner text, most bigint, new_id text, new_name text, new_type text, new_size bigint, new_on_conflict text,
  new_protocol text, new_terms text, new_seal bytea, at bigint
) RETURNS TABLE (answer text) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM users WHERE id = owner FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RETURN QUERY SELECT 'gone'; RETURN;
  END IF;
  IF (SELECT count(*) FROM uploads WHERE user_id = owner AND file_id IS NULL) >= most THEN
    RETURN QUERY SELECT 'full'; RETURN;
  END IF;
  -- The records of complete uploads take space, too. Some are deleted at once, so that the search is rare.
  IF EXISTS (SELECT FROM uploads WHERE user_id = owner OFFSET 2 * most - 1) THEN
    DELETE FROM uploads WHERE id IN (
      SELECT id FROM uploads WHERE user_id = owner AND file_id IS NOT NULL ORDER BY touched_at LIMIT 50);
  END IF;
  INSERT INTO uploads (id, user_id, name, content_type, size, on_conflict, protocol, terms, seal, created_at, touched_at)
  VALUES (new_id, owner, new_name, new_type, new_size, new_on_conflict, new_protocol, new_terms, new_seal, at, at);
  RETURN QUERY SELECT 'done';
END $$;

-- Adds a part behind the others; with no blob it only sets the length of the whole.
CREATE OR REPLACE FUNCTION append_part(
  owner text, upload text, seen_received bigint, seen_claim bigint, new_blob text, part_size bigint, part_seal bytea,
  whole_size bigint, at bigint, quota bigint
) RETURNS TABLE (answer text) LANGUAGE plpgsql AS $$
DECLARE
  used bigint;
BEGIN
  IF new_blob IS NOT NULL AND NOT may_name(new_blob) THEN
    RETURN QUERY SELECT 'run-ended'; RETURN;
  END IF;
  SELECT byte_count INTO used FROM users WHERE id = owner FOR NO KEY UPDATE;
  PERFORM FROM uploads WHERE id = upload AND user_id = owner AND received = seen_received AND claim = seen_claim
    AND file_id IS NULL FOR UPDATE;
  IF NOT FOUND OR used IS NULL THEN
    RETURN QUERY SELECT 'stale'; RETURN;
  END IF;
  IF part_size > 0 AND used + part_size > quota THEN
    RETURN QUERY SELECT 'quota'; RETURN;
  END IF;
  IF new_blob IS NOT NULL THEN
    INSERT INTO parts (version, start, size, blob, seal) VALUES (upload, seen_received, part_size, new_blob, part_seal);
  END IF;
  UPDATE uploads SET received = received + part_size, parts = parts + (new_blob IS NOT NULL)::integer,
    size = coalesce(whole_size, size), touched_at = at WHERE id = upload;
  UPDATE users SET byte_count = byte_count + part_size WHERE id = owner;
  RETURN QUERY SELECT 'done';
END $$;

-- The same with a part that replaces the last one, which becomes garbage of the version replaced.
CREATE OR REPLACE FUNCTION replace_last_part(
  owner text, upload text, seen_received bigint, seen_claim bigint, new_blob text, part_size bigint, part_seal bytea,
  whole_size bigint, at bigint, quota bigint, part_start bigint, replaced text
) RETURNS TABLE (answer text) LANGUAGE plpgsql AS $$
DECLARE
  used bigint;
  added bigint := part_start + part_size - seen_received;
BEGIN
  IF NOT may_name(new_blob) THEN
    RETURN QUERY SELECT 'run-ended'; RETURN;
  END IF;
  SELECT byte_count INTO used FROM users WHERE id = owner FOR NO KEY UPDATE;
  PERFORM FROM uploads WHERE id = upload AND user_id = owner AND received = seen_received AND claim = seen_claim
    AND file_id IS NULL FOR UPDATE;
  IF NOT FOUND OR used IS NULL THEN
    RETURN QUERY SELECT 'stale'; RETURN;
  END IF;
  IF added > 0 AND used + added > quota THEN
    RETURN QUERY SELECT 'quota'; RETURN;
  END IF;
  UPDATE parts SET version = replaced WHERE version = upload AND start = part_start AND start + size = seen_received;
  IF NOT FOUND THEN
    RETURN QUERY SELECT 'stale'; RETURN;
  END IF;
  INSERT INTO garbage (version) VALUES (replaced);
  INSERT INTO parts (version, start, size, blob, seal) VALUES (upload, part_start, part_size, new_blob, part_seal);
  UPDATE uploads SET received = received + added, size = coalesce(whole_size, size), touched_at = at WHERE id = upload;
  UPDATE users SET byte_count = byte_count + added WHERE id = owner;
  RETURN QUERY SELECT 'done';
END $$;

-- Moves all parts of other uploads into this one, and deletes those uploads.
CREATE OR REPLACE FUNCTION concatenate_uploads(
  owner text, whole text, uploads_of text[], froms bigint[], starts bigint[], seals bytea[], at bigint
) RETURNS TABLE (answer text) LANGUAGE plpgsql AS $$
DECLARE
  total record;
BEGIN
  PERFORM FROM users WHERE id = owner FOR NO KEY UPDATE;
  PERFORM FROM uploads WHERE user_id = owner AND (id = whole OR id = ANY (uploads_of)) ORDER BY id FOR UPDATE;
  SELECT coalesce(sum(received), 0)::bigint AS bytes, coalesce(sum(parts), 0)::bigint AS parts, count(*) AS uploads
    INTO total FROM uploads
    WHERE user_id = owner AND id = ANY (uploads_of) AND file_id IS NULL AND received = size;
  IF total.uploads <> (SELECT count(DISTINCT u) FROM unnest(uploads_of) AS u) OR total.parts <> cardinality(froms)
    OR total.parts <> (SELECT count(*) FROM parts WHERE (version, start) IN (SELECT * FROM unnest(uploads_of, froms)))
    OR NOT EXISTS (SELECT FROM uploads WHERE id = whole AND user_id = owner AND uploads.parts = 0) THEN
    RETURN QUERY SELECT 'stale'; RETURN;
  END IF;
  UPDATE parts SET version = whole, start = given.start, seal = given.seal
    FROM unnest(uploads_of, froms, starts, seals) AS given (upload, from_start, start, seal)
    WHERE parts.version = given.upload AND parts.start = given.from_start;
  DELETE FROM uploads WHERE user_id = owner AND id = ANY (uploads_of);
  UPDATE uploads SET received = total.bytes, parts = total.parts, size = total.bytes, touched_at = at WHERE id = whole;
  RETURN QUERY SELECT 'done';
END $$;

-- Deletes those of the uploads that were not touched since. The version of one that is not complete is garbage then.
CREATE OR REPLACE FUNCTION drop_uploads(ids text[], touched_until bigint DEFAULT NULL)
RETURNS TABLE (dropped text, is_version boolean) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM users WHERE id IN (SELECT user_id FROM uploads WHERE id = ANY (ids)) ORDER BY id FOR NO KEY UPDATE;
  RETURN QUERY
    WITH gone AS (
      DELETE FROM uploads WHERE id = ANY (ids) AND (touched_until IS NULL OR touched_at <= touched_until)
      RETURNING id, user_id, received, file_id IS NULL AS is_open, file_id IS NULL AND parts > 0 AS has_parts
    ), discarded AS (
      INSERT INTO garbage (version) SELECT id FROM gone WHERE has_parts
    ), freed AS (
      UPDATE users SET byte_count = byte_count - bytes
      FROM (SELECT user_id, sum(received)::bigint AS bytes FROM gone WHERE is_open GROUP BY user_id) AS freed_by
      WHERE users.id = freed_by.user_id
    )
    SELECT id, has_parts FROM gone;
END $$;

CREATE OR REPLACE FUNCTION commit_file(
  owner text, new_id text, new_name text, new_size bigint, new_type text, new_created_at bigint, new_updated_at bigint,
  new_named_at bigint, new_version text, new_blob text, new_seal bytea, new_tag bytea, new_taken_at bigint,
  new_taken_offset bigint, seen_version text, quota bigint, file_quota bigint, entry_id text, entry_seal bytea, entry_deleted_at bigint,
  source_upload text, source_received bigint
) RETURNS TABLE (answer text) LANGUAGE plpgsql AS $$
DECLARE
  used record;
  standing record;
  grown bigint;
  added bigint;
  same_content boolean;
  number bigint;
BEGIN
  IF new_blob IS NOT NULL AND NOT may_name(new_blob) THEN
    RETURN QUERY SELECT 'run-ended'; RETURN;
  END IF;
  SELECT byte_count AS bytes, file_count + trash_count AS files, vacated_at INTO used FROM users WHERE id = owner
    FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RETURN QUERY SELECT 'gone'; RETURN;
  END IF;
  IF new_blob IS NULL THEN
    PERFORM FROM uploads WHERE id = new_version AND user_id = owner AND received = new_size AND file_id IS NULL;
    IF NOT FOUND THEN
      RETURN QUERY SELECT 'upload-gone'; RETURN;
    END IF;
  END IF;
  IF source_upload IS NOT NULL THEN
    PERFORM FROM uploads WHERE id = source_upload AND user_id = owner AND received = source_received AND file_id IS NULL;
    IF NOT FOUND THEN
      RETURN QUERY SELECT 'upload-gone'; RETURN;
    END IF;
  END IF;
  SELECT * INTO standing FROM files WHERE user_id = owner AND name = new_name AND deleted_at IS NULL;
  IF standing.version IS DISTINCT FROM seen_version THEN
    RETURN QUERY SELECT 'stale'; RETURN;
  END IF;
  same_content := coalesce(standing.tag = new_tag, false);
  IF same_content AND new_taken_at IS NULL THEN
    new_taken_at := standing.taken_at;
    new_taken_offset := standing.taken_offset;
  END IF;
  -- The bytes of an upload are counted already.
  grown := CASE WHEN new_blob IS NULL THEN 0 ELSE new_size END
    - CASE WHEN entry_id IS NULL THEN coalesce(standing.size, 0) ELSE 0 END
    - CASE WHEN entry_id IS NULL AND NOT same_content THEN coalesce(standing.thumbnail_size, 0) ELSE 0 END;
  added := (seen_version IS NULL OR entry_id IS NOT NULL)::integer;
  -- A user who is over the quota may still replace a file with a smaller one.
  IF grown > 0 AND used.bytes - source_received + grown > quota THEN
    RETURN QUERY SELECT 'quota'; RETURN;
  END IF;
  IF added > 0 AND used.files + added > file_quota THEN
    RETURN QUERY SELECT 'quota-files'; RETURN;
  END IF;
  IF new_updated_at IS DISTINCT FROM standing.updated_at THEN
    new_named_at := take_name(owner, new_name, new_named_at, greatest(used.vacated_at, standing.named_at));
  END IF;
  IF new_blob IS NULL THEN
    UPDATE uploads SET file_id = new_id, file_name = new_name WHERE id = new_version;
  ELSE
    INSERT INTO parts (version, start, size, blob) VALUES (new_version, 0, new_size, new_blob);
  END IF;
  IF source_upload IS NOT NULL THEN
    UPDATE uploads SET file_id = new_id, file_name = new_name WHERE id = source_upload;
    INSERT INTO garbage (version) VALUES (source_upload);
  END IF;
  UPDATE users SET file_count = file_count + (seen_version IS NULL)::integer, byte_count = byte_count + grown - source_received,
    trash_count = trash_count + (entry_id IS NOT NULL)::integer, revision = revision + 1
    WHERE id = owner RETURNING revision INTO number;
  IF seen_version IS NULL THEN
    INSERT INTO files (id, user_id, name, size, content_type, created_at, updated_at, named_at, version, seal, tag,
      taken_at, taken_offset, dated_at, revision)
    VALUES (new_id, owner, new_name, new_size, new_type, new_created_at, new_updated_at,
      new_named_at, new_version, new_seal, new_tag, new_taken_at, new_taken_offset,
      coalesce(new_taken_at, new_created_at), number);
  ELSE
    UPDATE files SET size = new_size, content_type = new_type, updated_at = new_updated_at,
      named_at = new_named_at, version = new_version, seal = new_seal, tag = new_tag, taken_at = new_taken_at,
      taken_offset = new_taken_offset, dated_at = coalesce(new_taken_at, created_at), verified_at = NULL, failed_at = NULL,
      thumbnail = CASE WHEN same_content THEN thumbnail END,
      thumbnail_size = CASE WHEN same_content THEN thumbnail_size ELSE 0 END, revision = number
      WHERE id = standing.id;
    IF entry_id IS NULL THEN
      INSERT INTO garbage (version) VALUES (seen_version);
      IF NOT same_content THEN
        DELETE FROM thumbnails WHERE tag = standing.thumbnail;
      END IF;
    ELSE
      INSERT INTO files (id, user_id, name, size, content_type, created_at, updated_at, named_at, version, seal, tag,
        taken_at, taken_offset, dated_at, verified_at, thumbnail, thumbnail_size, deleted_at)
      VALUES (entry_id, owner, standing.name, standing.size, standing.content_type, standing.created_at,
        standing.updated_at, standing.named_at, standing.version, entry_seal, standing.tag, standing.taken_at,
        standing.taken_offset, standing.dated_at, standing.verified_at,
        CASE WHEN NOT same_content THEN standing.thumbnail END,
        CASE WHEN same_content THEN 0 ELSE standing.thumbnail_size END, entry_deleted_at);
    END IF;
  END IF;
  RETURN QUERY SELECT 'done';
END $$;

-- Puts a thumbnail in place of the one that the caller saw; with no tag it only deletes that one.
CREATE OR REPLACE FUNCTION change_thumbnail(
  owner text, seen_id text, seen_name text, seen_version text, seen_thumbnail text, new_tag text, new_type text,
  new_size bigint, new_sealed bytea, quota bigint
) RETURNS TABLE (answer text) LANGUAGE plpgsql AS $$
DECLARE
  used bigint;
  grown bigint;
  number bigint;
BEGIN
  SELECT byte_count INTO used FROM users WHERE id = owner FOR NO KEY UPDATE;
  SELECT new_size - thumbnail_size INTO grown FROM files WHERE id = seen_id AND user_id = owner AND name = seen_name
    AND version = seen_version AND thumbnail IS NOT DISTINCT FROM seen_thumbnail AND deleted_at IS NULL;
  IF NOT FOUND OR used IS NULL THEN
    RETURN QUERY SELECT 'stale'; RETURN;
  END IF;
  IF grown > 0 AND used + grown > quota THEN
    RETURN QUERY SELECT 'quota'; RETURN;
  END IF;
  UPDATE users SET byte_count = byte_count + grown, revision = revision + 1 WHERE id = owner
    RETURNING revision INTO number;
  DELETE FROM thumbnails WHERE tag = seen_thumbnail;
  IF new_tag IS NOT NULL THEN
    INSERT INTO thumbnails (tag, user_id, content_type, sealed) VALUES (new_tag, owner, new_type, new_sealed);
  END IF;
  UPDATE files SET thumbnail = new_tag, thumbnail_size = new_size, revision = number WHERE id = seen_id;
  RETURN QUERY SELECT 'done';
END $$;

-- Gives a file another name, another date, or both; null leaves it as it is.
CREATE OR REPLACE FUNCTION edit_file(
  owner text, seen_id text, seen_name text, seen_version text, new_name text, is_dated boolean, new_taken_at bigint,
  new_taken_offset bigint, at bigint
) RETURNS TABLE (answer text) LANGUAGE plpgsql AS $$
DECLARE
  vacated bigint;
  formerly bigint;
  number bigint;
BEGIN
  SELECT vacated_at INTO vacated FROM users WHERE id = owner FOR NO KEY UPDATE;
  SELECT named_at INTO formerly FROM files WHERE id = seen_id AND user_id = owner AND name = seen_name AND version = seen_version
    AND deleted_at IS NULL;
  IF NOT FOUND THEN
    RETURN QUERY SELECT 'stale'; RETURN;
  END IF;
  IF new_name <> seen_name AND EXISTS (SELECT FROM files WHERE user_id = owner AND name = new_name AND deleted_at IS NULL) THEN
    RETURN QUERY SELECT 'taken'; RETURN;
  END IF;
  IF NOT is_dated AND coalesce(new_name, seen_name) = seen_name THEN
    RETURN QUERY SELECT 'done'; RETURN;
  END IF;
  UPDATE users SET revision = revision + 1 WHERE id = owner RETURNING revision INTO number;
  IF is_dated THEN
    UPDATE files SET taken_at = new_taken_at, taken_offset = new_taken_offset,
      dated_at = coalesce(new_taken_at, created_at), revision = number WHERE id = seen_id;
  END IF;
  IF new_name <> seen_name THEN
    UPDATE files SET name = new_name, named_at = take_name(owner, new_name, at, vacated), revision = number
      WHERE id = seen_id;
    PERFORM vacate_name(owner, seen_name, formerly, at);
  END IF;
  RETURN QUERY SELECT 'done';
END $$;

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

-- Rows of the user in other tables are deleted with it, except key slots and files.
CREATE OR REPLACE FUNCTION remove_user(owner text) RETURNS TABLE (removed boolean) LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM users WHERE id = owner;
  removed := FOUND;
  IF removed THEN
    DELETE FROM key_slots WHERE user_id = owner;
    INSERT INTO departed (user_id) VALUES (owner);
  END IF;
  RETURN NEXT;
END $$;

-- Counts an event with an earlier one, or adds it and deletes the events beyond the bound of its class. Does nothing if the
-- user does not exist.
CREATE OR REPLACE FUNCTION keep_event(owner text, event jsonb, as_kind text, keep jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  fold jsonb := keep -> 'fold';
  in_class text := keep ->> 'class';
  place bigint;
BEGIN
  PERFORM FROM users WHERE id = owner FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  IF jsonb_typeof(fold) = 'object' THEN
    WITH alike AS (
      SELECT a.at, a.id, a.address = event ->> 'address' AS is_same FROM activity a
      WHERE a.user_id = owner AND a.kind = as_kind
        AND coalesce(a.device_id, '') = coalesce(event ->> 'deviceId', '') AND a.at >= (fold ->> 'since')::bigint
        AND CASE fold ->> 'file' WHEN 'same' THEN a.file_id IS NOT DISTINCT FROM event ->> 'fileId'
          ELSE (a.file_id IS NULL) = (event ->> 'fileId' IS NULL) END)
    UPDATE activity SET count = count + 1, session_id = event ->> 'sessionId', file_id = event ->> 'fileId'
    WHERE (user_id, at, id) = (
      SELECT owner, alike.at, alike.id FROM alike
      WHERE is_same OR (SELECT count(*) FROM alike) >= (fold ->> 'mostAddresses')::bigint
      ORDER BY is_same DESC, alike.at DESC LIMIT 1);
    IF FOUND THEN
      RETURN;
    END IF;
  END IF;
  SELECT coalesce(max(position), 0) + 1 INTO place FROM activity WHERE user_id = owner AND class = in_class;
  INSERT INTO activity (id, user_id, at, kind, address, user_agent, session_id, device_id, file_id, class, position)
  VALUES (event ->> 'id', owner, (event ->> 'at')::bigint, as_kind, event ->> 'address', event ->> 'userAgent',
    event ->> 'sessionId', event ->> 'deviceId', event ->> 'fileId', in_class, place);
  DELETE FROM activity
    WHERE user_id = owner AND class = in_class AND position <= place - (keep ->> 'most')::bigint;
END $$;

-- Redeems a PIN: 'new-device' or 'known-device', or the reason why not. A newcomer is a user who does not exist yet.
CREATE OR REPLACE FUNCTION redeem_pin(
  pin text, new_id text, device text, device_name text, new_token_hash bytea, at bigint, owner text, vouched_by text, newcomer jsonb,
  guessed_at bytea, every bigint, event jsonb, bounds jsonb
) RETURNS TABLE (answer text) LANGUAGE plpgsql AS $$
DECLARE
  is_new boolean;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtextextended('pin ' || pin, 0));
  IF EXISTS (SELECT FROM sessions WHERE pin_id = pin) THEN
    RETURN QUERY SELECT 'spent'; RETURN;
  END IF;
  IF newcomer IS NOT NULL THEN
    INSERT INTO users (id, name, email, confirmed_by, created_at) VALUES (owner, newcomer ->> 'name',
      newcomer ->> 'email', newcomer ->> 'confirmedBy', (newcomer ->> 'createdAt')::bigint)
    ON CONFLICT (email) DO NOTHING;
    IF NOT FOUND THEN
      RETURN QUERY SELECT 'taken'; RETURN;
    END IF;
    INSERT INTO key_slots (user_id, kind, key_id, sealed) VALUES (owner, newcomer ->> 'slotKind',
      newcomer ->> 'slotKeyId', decode(newcomer ->> 'slotSealed', 'base64'));
  ELSE
    PERFORM FROM users WHERE id = owner FOR NO KEY UPDATE;
    IF NOT FOUND THEN
      RETURN QUERY SELECT 'gone'; RETURN;
    END IF;
    -- A transaction that ends the vouching session runs before this one or after it.
    PERFORM FROM sessions WHERE user_id = owner AND id = vouched_by AND ended_at IS NULL FOR SHARE;
    IF vouched_by IS NOT NULL AND NOT FOUND THEN
      RETURN QUERY SELECT 'gone'; RETURN;
    END IF;
  END IF;
  UPDATE sessions SET ended_at = at WHERE user_id = owner AND device_id = device AND ended_at IS NULL;
  -- Sessions beyond the bound are searched only if there are any.
  IF (SELECT count(*) FROM sessions WHERE user_id = owner AND ended_at IS NULL) >= (bounds ->> 'sessions')::bigint THEN
    UPDATE sessions SET ended_at = at WHERE id IN (
      SELECT id FROM sessions WHERE user_id = owner AND ended_at IS NULL
      ORDER BY last_used_at DESC, created_at DESC, id OFFSET (bounds ->> 'sessions')::bigint - 1);
  END IF;
  INSERT INTO sessions (id, user_id, device_id, token_hash, pin_id, created_at, last_used_at)
    VALUES (new_id, owner, device, new_token_hash, pin, at, at);
  DELETE FROM handed_out_pins WHERE device_id = device AND user_id = owner;
  UPDATE guesses SET wrong = wrong - 1, paused_until = CASE WHEN wrong % every = 0 THEN 0 ELSE paused_until END
    WHERE address = guessed_at;
  INSERT INTO devices (user_id, device_id, name, first_seen_at, last_seen_at) VALUES (owner, device, device_name, at, at)
    ON CONFLICT DO NOTHING;
  is_new := FOUND;
  IF NOT is_new THEN
    UPDATE devices SET last_seen_at = at, name = coalesce(device_name, name) WHERE user_id = owner AND device_id = device;
  ELSIF (SELECT count(*) FROM devices WHERE user_id = owner) > (bounds ->> 'devices')::bigint THEN
    -- Devices that are signed in stay.
    DELETE FROM devices WHERE user_id = owner AND device_id IN (
      SELECT d.device_id FROM devices AS d WHERE d.user_id = owner
      ORDER BY EXISTS (SELECT FROM sessions AS s
        WHERE s.user_id = owner AND s.device_id = d.device_id AND s.ended_at IS NULL) DESC, d.last_seen_at DESC, d.device_id
      OFFSET (bounds ->> 'devices')::bigint);
  END IF;
  IF is_new THEN
    PERFORM keep_event(owner, event, 'new-device', bounds -> 'newDevice');
  ELSE
    PERFORM keep_event(owner, event, event ->> 'kind', bounds -> 'signIn');
  END IF;
  RETURN QUERY SELECT CASE WHEN is_new THEN 'new-device' ELSE 'known-device' END;
END $$;

-- Counts a guess under a hash of the address, unless its PINs are paused, and against each PIN that was handed out for
-- the device. Every guess runs the same statements, so its time does not show the result. Guesses without an address are
-- spread over 256 rows that belong to no user (no keyed hash is one byte), so that they do not wait for each other.
CREATE OR REPLACE FUNCTION count_guess(device text, guessed_at bytea, at bigint, most bigint, every bigint, first_pause bigint)
RETURNS TABLE (counted text, pauses boolean, handed_out jsonb)
LANGUAGE plpgsql AS $$
DECLARE
  counter bytea := coalesce(guessed_at, set_byte('\\x00', 0, floor(random() * 256)::integer));
  paused boolean;
  total bigint;
BEGIN
  WITH guessed AS (
    UPDATE handed_out_pins SET guesses = guesses + 1 WHERE device_id = device AND expires_at > at AND guesses < most
      RETURNING pin_id, user_id, digest, expires_at)
  SELECT coalesce(jsonb_agg(jsonb_build_object('id', pin_id, 'userId', user_id, 'digest', encode(digest, 'base64'),
    'expiresAt', expires_at)), '[]') INTO handed_out FROM guessed;
  INSERT INTO guesses (address, wrong, paused_until) VALUES (counter, 0, 0) ON CONFLICT DO NOTHING;
  SELECT paused_until > at INTO paused FROM guesses WHERE address = counter FOR UPDATE;
  UPDATE guesses SET
      wrong = wrong + (NOT paused)::integer,
      paused_until = CASE WHEN NOT paused AND (wrong + 1) % every = 0
        THEN at + first_pause * power(2, (wrong + 1) / every - 1)::bigint ELSE paused_until END
    WHERE address = counter RETURNING wrong INTO total;
  counted := CASE WHEN guessed_at IS NULL THEN 'nobody' WHEN paused THEN 'paused' ELSE 'counted' END;
  pauses := counted = 'counted' AND total % every = 0;
  RETURN NEXT;
END $$;

-- Ends those of the runs that were silent for this long.
CREATE OR REPLACE FUNCTION end_runs(ids text[], silent_for interval) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  one text;
BEGIN
  FOREACH one IN ARRAY ids LOOP
    PERFORM pg_advisory_xact_lock(run_lock(one));
  END LOOP;
  UPDATE runs SET ended = true WHERE id = ANY (ids) AND NOT ended AND beat_at <= now() - silent_for;
END $$;

-- Ends all other runs that were silent for this long, and returns all ended runs. While the database was down no run could
-- send a heartbeat, so it must have been up for as long.
CREATE OR REPLACE FUNCTION ended_runs(mine text, silent_for interval) RETURNS TABLE (run text) LANGUAGE plpgsql AS $$
BEGIN
  IF pg_postmaster_start_time() <= now() - silent_for THEN
    PERFORM end_runs(ARRAY(
      SELECT id FROM runs WHERE id IS DISTINCT FROM mine AND NOT ended AND beat_at <= now() - silent_for ORDER BY id
    ), silent_for);
  END IF;
  RETURN QUERY SELECT id FROM runs WHERE ended ORDER BY started_at, id;
END $$;

-- From now on no commit can name these blobs. Returns those that no part names.
CREATE OR REPLACE FUNCTION renounce_blobs(blobs text[]) RETURNS TABLE (unnamed text) LANGUAGE plpgsql AS $$
DECLARE
  one text;
BEGIN
  FOR one IN SELECT DISTINCT split_part(b, '/', 1) FROM unnest(blobs) AS b ORDER BY 1 LOOP
    PERFORM pg_advisory_xact_lock(run_lock(one));
  END LOOP;
  RETURN QUERY SELECT b FROM unnest(blobs) AS b WHERE NOT EXISTS (SELECT FROM parts WHERE blob = b);
  INSERT INTO renounced (blob, run)
    SELECT b, runs.id FROM unnest(blobs) AS b JOIN runs ON runs.id = split_part(b, '/', 1)
    WHERE NOT EXISTS (SELECT FROM parts WHERE blob = b)
    ON CONFLICT DO NOTHING;
END $$;
`

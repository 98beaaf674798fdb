/** Uploads in several requests. */
export const uploads = `
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
`

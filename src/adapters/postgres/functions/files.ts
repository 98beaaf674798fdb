/** Live files. */
export const files = `
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
`

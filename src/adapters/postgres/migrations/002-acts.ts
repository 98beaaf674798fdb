/**
 * Functions for the transactions that have several statements, each in one round trip. Each statement sees all earlier
 * commits (READ COMMITTED), so a value read under a lock is true until the end of the transaction. All functions take locks
 * in one order: a run or a PIN, then users, then the rest.
 */
export const acts = `
-- Who names a blob shares its run; who ends the run, or gives a blob of it up, waits for all of them and keeps others out.
CREATE FUNCTION run_lock(run text) RETURNS bigint LANGUAGE sql IMMUTABLE AS $$
  SELECT hashtextextended('run ' || run, 0)
$$;

CREATE FUNCTION commit_file(
  owner text, new_id text, new_name text, new_size bigint, new_type text, new_created_at bigint, new_updated_at bigint,
  new_blob text, new_seal bytea, seen_blob text, quota bigint
) RETURNS TABLE (answer text) LANGUAGE plpgsql AS $$
DECLARE
  new_run text := split_part(new_blob, '/', 1);
  used bigint;
  standing record;
  grown bigint;
BEGIN
  PERFORM pg_advisory_xact_lock_shared(run_lock(new_run));
  IF NOT EXISTS (SELECT FROM runs WHERE id = new_run AND NOT ended)
    OR EXISTS (SELECT FROM renounced WHERE blob = new_blob) THEN
    RETURN QUERY SELECT 'run-ended'; RETURN;
  END IF;
  SELECT byte_count INTO used FROM users WHERE id = owner FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RETURN QUERY SELECT 'gone'; RETURN;
  END IF;
  SELECT blob, size INTO standing FROM files WHERE user_id = owner AND name = new_name AND deleted_at IS NULL;
  IF standing.blob IS DISTINCT FROM seen_blob THEN
    RETURN QUERY SELECT 'stale'; RETURN;
  END IF;
  grown := new_size - coalesce(standing.size, 0);
  -- Who is over the quota already may still make a file smaller.
  IF grown > 0 AND used + grown > quota THEN
    RETURN QUERY SELECT 'quota'; RETURN;
  END IF;
  IF seen_blob IS NULL THEN
    INSERT INTO files (id, user_id, name, size, content_type, created_at, updated_at, blob, seal)
    VALUES (new_id, owner, new_name, new_size, new_type, new_created_at, new_updated_at, new_blob, new_seal);
  ELSE
    UPDATE files SET size = new_size, content_type = new_type, updated_at = new_updated_at, blob = new_blob,
      seal = new_seal WHERE user_id = owner AND name = new_name AND deleted_at IS NULL;
    INSERT INTO garbage (blob) VALUES (seen_blob);
  END IF;
  UPDATE users SET file_count = file_count + (seen_blob IS NULL)::integer, byte_count = byte_count + grown
    WHERE id = owner;
  RETURN QUERY SELECT 'done';
END $$;

CREATE FUNCTION rename_file(owner text, seen_id text, seen_name text, seen_blob text, new_name text)
RETURNS TABLE (answer text) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM users WHERE id = owner FOR NO KEY UPDATE;
  PERFORM FROM files WHERE id = seen_id AND user_id = owner AND name = seen_name AND blob = seen_blob
    AND deleted_at IS NULL;
  IF NOT FOUND THEN
    RETURN QUERY SELECT 'stale'; RETURN;
  END IF;
  IF new_name <> seen_name
    AND EXISTS (SELECT FROM files WHERE user_id = owner AND name = new_name AND deleted_at IS NULL) THEN
    RETURN QUERY SELECT 'taken'; RETURN;
  END IF;
  UPDATE files SET name = new_name WHERE id = seen_id;
  RETURN QUERY SELECT 'done';
END $$;

CREATE FUNCTION discard_file(owner text, seen_id text, seen_name text, seen_blob text, at bigint)
RETURNS TABLE (answer text) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM users WHERE id = owner FOR NO KEY UPDATE;
  UPDATE files SET deleted_at = at WHERE id = seen_id AND user_id = owner AND name = seen_name AND blob = seen_blob
    AND deleted_at IS NULL;
  IF NOT FOUND THEN
    RETURN QUERY SELECT 'stale'; RETURN;
  END IF;
  UPDATE users SET file_count = file_count - 1 WHERE id = owner;
  RETURN QUERY SELECT 'done';
END $$;

CREATE FUNCTION restore_file(owner text, seen_id text, seen_blob text, new_name text)
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
  UPDATE users SET file_count = file_count + 1 WHERE id = owner;
  RETURN QUERY SELECT 'done';
END $$;

-- Removes for good those of the files that were deleted up to a time; answers their blobs, which are garbage now.
CREATE FUNCTION drop_files(ids text[], deleted_until bigint) RETURNS TABLE (dropped_blob text) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM users WHERE id IN (SELECT user_id FROM files WHERE id = ANY (ids)) ORDER BY id FOR NO KEY UPDATE;
  RETURN QUERY
    WITH dropped AS (
      DELETE FROM files WHERE id = ANY (ids) AND deleted_at <= deleted_until RETURNING user_id, size, blob
    ), booked AS (
      INSERT INTO garbage (blob) SELECT blob FROM dropped
    ), freed AS (
      UPDATE users SET byte_count = byte_count - bytes
      FROM (SELECT user_id, sum(size)::bigint AS bytes FROM dropped GROUP BY user_id) AS freed_by
      WHERE users.id = freed_by.user_id
    )
    SELECT blob FROM dropped;
END $$;

-- All but key slots and files goes with the user.
CREATE FUNCTION remove_user(owner text) RETURNS TABLE (removed boolean) LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM users WHERE id = owner;
  removed := FOUND;
  IF removed THEN
    DELETE FROM key_slots WHERE user_id = owner;
    INSERT INTO departed (user_id) VALUES (owner);
  END IF;
  RETURN NEXT;
END $$;

-- A row inside whatever act the caller runs; nothing for a user who does not exist.
CREATE FUNCTION note_activity(owner text, event jsonb, as_kind text) RETURNS void LANGUAGE sql AS $$
  INSERT INTO activity (id, user_id, at, kind, address, user_agent, session_id, device_id, file_id)
  SELECT event ->> 'id', users.id, (event ->> 'at')::bigint, as_kind, event ->> 'address', event ->> 'userAgent',
    event ->> 'sessionId', event ->> 'deviceId', event ->> 'fileId'
  FROM users WHERE users.id = owner FOR KEY SHARE
$$;

CREATE FUNCTION fold_activity(owner text, event jsonb, since bigint, most bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM FROM users WHERE id = owner FOR NO KEY UPDATE;
  WITH alike AS (
    SELECT a.user_id, a.at, a.id, a.address = event ->> 'address' AS is_same FROM activity a
    WHERE a.user_id = owner AND a.at >= since AND a.kind = event ->> 'kind'
      AND a.device_id IS NOT DISTINCT FROM event ->> 'deviceId' AND a.file_id IS NOT DISTINCT FROM event ->> 'fileId')
  UPDATE activity SET count = count + 1 WHERE (user_id, at, id) = (
    SELECT alike.user_id, alike.at, alike.id FROM alike WHERE is_same OR (SELECT count(*) FROM alike) >= most
    ORDER BY is_same DESC, alike.at DESC LIMIT 1);
  IF NOT FOUND THEN
    PERFORM note_activity(owner, event, event ->> 'kind');
  END IF;
END $$;

-- Redeems a PIN: 'new-device' or 'known-device', or why not. A newcomer is a user who does not exist yet.
CREATE FUNCTION redeem_pin(
  pin text, new_id text, device text, new_token_hash bytea, at bigint, owner text, vouched_by text, newcomer jsonb,
  guessed_at bytea, every bigint, event jsonb
) RETURNS TABLE (answer text) LANGUAGE plpgsql AS $$
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
    -- Whoever is about to end the session that vouched comes before this or after it.
    PERFORM FROM sessions WHERE user_id = owner AND id = vouched_by AND ended_at IS NULL FOR SHARE;
    IF vouched_by IS NOT NULL AND NOT FOUND THEN
      RETURN QUERY SELECT 'gone'; RETURN;
    END IF;
  END IF;
  UPDATE sessions SET ended_at = at WHERE user_id = owner AND device_id = device AND ended_at IS NULL;
  INSERT INTO sessions (id, user_id, device_id, token_hash, pin_id, created_at, last_used_at)
    VALUES (new_id, owner, device, new_token_hash, pin, at, at);
  DELETE FROM handed_out_pins WHERE device_id = device;
  UPDATE guesses SET wrong = wrong - 1, paused_until = CASE WHEN wrong % every = 0 THEN 0 ELSE paused_until END
    WHERE address = guessed_at;
  INSERT INTO devices (user_id, device_id, first_seen_at) VALUES (owner, device, at) ON CONFLICT DO NOTHING;
  IF FOUND THEN
    PERFORM note_activity(owner, event, 'new-device');
    RETURN QUERY SELECT 'new-device';
  ELSE
    PERFORM note_activity(owner, event, event ->> 'kind');
    RETURN QUERY SELECT 'known-device';
  END IF;
END $$;

-- Counts a guess under a hash of the address, unless its PINs are paused, and against the PIN that was handed out for the
-- device. The same statements whatever comes of it. Guesses without an address are spread over 256 rows that are nobody's
-- (no keyed hash is one byte), so that they do not wait for each other.
CREATE FUNCTION count_guess(device text, guessed_at bytea, at bigint, most bigint, every bigint, first_pause bigint)
RETURNS TABLE (counted text, pauses boolean, pin_id text, user_id text, digest bytea, expires_at bigint)
LANGUAGE plpgsql AS $$
DECLARE
  counter bytea := coalesce(guessed_at, set_byte('\\x00', 0, floor(random() * 256)::integer));
  paused boolean;
  total bigint;
BEGIN
  UPDATE handed_out_pins AS pin SET guesses = pin.guesses + 1
    WHERE pin.device_id = device AND pin.expires_at > at AND pin.guesses < most
    RETURNING pin.pin_id, pin.user_id, pin.digest, pin.expires_at INTO pin_id, user_id, digest, expires_at;
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

-- Ends for good these runs of those that go on, or all others that were silent for too long. A server that has not been up
-- for as long tells nothing: nobody could beat while it was down.
CREATE FUNCTION end_runs(ids text[], silent_for interval) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  one text;
BEGIN
  FOREACH one IN ARRAY ids LOOP
    PERFORM pg_advisory_xact_lock(run_lock(one));
  END LOOP;
  UPDATE runs SET ended = true WHERE id = ANY (ids) AND NOT ended AND beat_at <= now() - silent_for;
END $$;

CREATE FUNCTION ended_runs(mine text, silent_for interval) RETURNS TABLE (run text) LANGUAGE plpgsql AS $$
BEGIN
  IF pg_postmaster_start_time() <= now() - silent_for THEN
    PERFORM end_runs(ARRAY(
      SELECT id FROM runs WHERE id IS DISTINCT FROM mine AND NOT ended AND beat_at <= now() - silent_for ORDER BY id
    ), silent_for);
  END IF;
  RETURN QUERY SELECT id FROM runs WHERE ended ORDER BY started_at, id;
END $$;

-- Sees to it that no commit names these blobs any more, and answers those that no row names.
CREATE FUNCTION renounce_blobs(blobs text[]) RETURNS TABLE (unnamed text) LANGUAGE plpgsql AS $$
DECLARE
  one text;
BEGIN
  FOR one IN SELECT DISTINCT split_part(b, '/', 1) FROM unnest(blobs) AS b ORDER BY 1 LOOP
    PERFORM pg_advisory_xact_lock(run_lock(one));
  END LOOP;
  RETURN QUERY SELECT b FROM unnest(blobs) AS b WHERE NOT EXISTS (SELECT FROM files WHERE blob = b);
  INSERT INTO renounced (blob, run)
    SELECT b, runs.id FROM unnest(blobs) AS b JOIN runs ON runs.id = split_part(b, '/', 1)
    WHERE NOT EXISTS (SELECT FROM files WHERE blob = b)
    ON CONFLICT DO NOTHING;
END $$;
`

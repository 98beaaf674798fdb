/**
 * Bounds the activity list for each user and class: an event has its place in the order of its class. Bounds sessions and
 * devices as well. New parameters of functions have defaults, so servers of the previous version keep working.
 */
export const bounds = `
ALTER TABLE activity ADD COLUMN class text NOT NULL DEFAULT 'routine';
ALTER TABLE activity ADD COLUMN position bigint NOT NULL DEFAULT 0;
UPDATE activity SET class = 'security' WHERE kind IN ('new-device', 'wrong-pin', 'locked');
UPDATE activity SET position = numbered.n
  FROM (SELECT user_id, at, id, row_number() OVER (PARTITION BY user_id, class ORDER BY at, id) AS n FROM activity)
    AS numbered
  WHERE (activity.user_id, activity.at, activity.id) = (numbered.user_id, numbered.at, numbered.id);
CREATE INDEX activity_by_class ON activity (user_id, class, position);
CREATE INDEX activity_alike ON activity (user_id, kind, coalesce(device_id, ''), at);

ALTER TABLE devices ADD COLUMN last_seen_at bigint NOT NULL DEFAULT 0;
UPDATE devices SET last_seen_at = greatest(first_seen_at, (SELECT max(created_at) FROM sessions
  WHERE sessions.user_id = devices.user_id AND sessions.device_id = devices.device_id));

-- Counts an event in an earlier one, or adds it and drops what its class has no room for. Nothing for a user who does not exist.
CREATE FUNCTION keep_event(owner text, event jsonb, as_kind text, keep jsonb) RETURNS void LANGUAGE plpgsql AS $$
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

-- For servers of the version before.
CREATE OR REPLACE FUNCTION note_activity(owner text, event jsonb, as_kind text) RETURNS void LANGUAGE sql AS $$
  SELECT keep_event(owner, event, as_kind, jsonb_build_object('most', 5000, 'class',
    CASE WHEN as_kind IN ('new-device', 'wrong-pin', 'locked') THEN 'security' ELSE 'routine' END))
$$;

DROP FUNCTION redeem_pin(text, text, text, bytea, bigint, text, text, jsonb, bytea, bigint, jsonb);
-- Redeems a PIN: 'new-device' or 'known-device', or why not. A newcomer is a user who does not exist yet.
CREATE FUNCTION redeem_pin(
  pin text, new_id text, device text, new_token_hash bytea, at bigint, owner text, vouched_by text, newcomer jsonb,
  guessed_at bytea, every bigint, event jsonb, bounds jsonb DEFAULT NULL
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
    -- Whoever is about to end the session that vouched comes before this or after it.
    PERFORM FROM sessions WHERE user_id = owner AND id = vouched_by AND ended_at IS NULL FOR SHARE;
    IF vouched_by IS NOT NULL AND NOT FOUND THEN
      RETURN QUERY SELECT 'gone'; RETURN;
    END IF;
  END IF;
  UPDATE sessions SET ended_at = at WHERE user_id = owner AND device_id = device AND ended_at IS NULL;
  -- What is over a bound is looked for only where there is something.
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
  INSERT INTO devices (user_id, device_id, first_seen_at, last_seen_at) VALUES (owner, device, at, at)
    ON CONFLICT DO NOTHING;
  is_new := FOUND;
  IF NOT is_new THEN
    UPDATE devices SET last_seen_at = at WHERE user_id = owner AND device_id = device;
  ELSIF (SELECT count(*) FROM devices WHERE user_id = owner) > (bounds ->> 'devices')::bigint THEN
    -- Devices that are signed in stay.
    DELETE FROM devices WHERE user_id = owner AND device_id IN (
      SELECT d.device_id FROM devices AS d WHERE d.user_id = owner
      ORDER BY EXISTS (SELECT FROM sessions AS s
        WHERE s.user_id = owner AND s.device_id = d.device_id AND s.ended_at IS NULL) DESC, d.last_seen_at DESC, d.device_id
      OFFSET (bounds ->> 'devices')::bigint);
  END IF;
  IF bounds IS NULL THEN
    PERFORM note_activity(owner, event, CASE WHEN is_new THEN 'new-device' ELSE event ->> 'kind' END);
  ELSIF is_new THEN
    PERFORM keep_event(owner, event, 'new-device', bounds -> 'newDevice');
  ELSE
    PERFORM keep_event(owner, event, event ->> 'kind', bounds -> 'signIn');
  END IF;
  RETURN QUERY SELECT CASE WHEN is_new THEN 'new-device' ELSE 'known-device' END;
END $$;
`

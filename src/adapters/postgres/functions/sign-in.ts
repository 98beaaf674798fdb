/** Redeeming PINs and counting guesses. */
export const signIn = `
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
-- spread over 256 rows that belong to no user (no keyed hash is one byte), so that they do not wait for each other. Their
-- pauses end early and mean nothing, so they count on without end: the length of a pause has a maximum of 31 million years.
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
        THEN at + first_pause * power(2, least((wrong + 1) / every - 1, 40))::bigint ELSE paused_until END
    WHERE address = counter RETURNING wrong INTO total;
  counted := CASE WHEN guessed_at IS NULL THEN 'nobody' WHEN paused THEN 'paused' ELSE 'counted' END;
  pauses := counted = 'counted' AND total % every = 0;
  RETURN NEXT;
END $$;
`

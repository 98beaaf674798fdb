/**
 * A device has one PIN from the operator for each user, not one in total. A guess counts against all of them. A sign-in
 * deletes only that of its own user.
 */
export const pinsByUser = `
ALTER TABLE handed_out_pins DROP CONSTRAINT handed_out_pins_pkey, ADD PRIMARY KEY (device_id, user_id);

DROP FUNCTION count_guess;
-- Counts a guess under a hash of the address, unless its PINs are paused, and against each PIN that was handed out for
-- the device. The same statements whatever comes of it. Guesses without an address are spread over 256 rows that are nobody's
-- (no keyed hash is one byte), so that they do not wait for each other.
CREATE FUNCTION count_guess(device text, guessed_at bytea, at bigint, most bigint, every bigint, first_pause bigint)
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
`

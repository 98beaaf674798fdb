/** The dates of names: a content gets its name in a later second than every earlier content of this name. */
export const names = `
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
`

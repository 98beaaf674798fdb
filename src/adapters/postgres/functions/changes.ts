/** The numbers of changes that make a file not live any more. */
export const changes = `
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
`

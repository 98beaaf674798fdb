/** Runs of server processes, and which blobs a commit may name. */
export const runs = `
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

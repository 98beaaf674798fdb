/** Users and their events. */
export const users = `
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
`

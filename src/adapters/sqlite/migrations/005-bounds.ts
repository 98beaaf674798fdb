/**
 * Bounds the activity list for each user and class: an event has its place in the order of its class. Bounds devices as
 * well; those used longest ago are deleted first.
 */
export const bounds = `
ALTER TABLE activity ADD COLUMN class TEXT NOT NULL DEFAULT 'routine';
ALTER TABLE activity ADD COLUMN position INTEGER NOT NULL DEFAULT 0;
UPDATE activity SET class = 'security' WHERE kind IN ('new-device', 'wrong-pin', 'locked');
UPDATE activity SET position = numbered.n
  FROM (SELECT user_id, at, id, row_number() OVER (PARTITION BY user_id, class ORDER BY at, id) AS n FROM activity)
    AS numbered
  WHERE (activity.user_id, activity.at, activity.id) = (numbered.user_id, numbered.at, numbered.id);
CREATE INDEX activity_by_class ON activity (user_id, class, position);
CREATE INDEX activity_alike ON activity (user_id, kind, coalesce(device_id, ''), at);

ALTER TABLE devices ADD COLUMN last_seen_at INTEGER NOT NULL DEFAULT 0;
UPDATE devices SET last_seen_at = max(first_seen_at, coalesce((SELECT max(created_at) FROM sessions
  WHERE sessions.user_id = devices.user_id AND sessions.device_id = devices.device_id), 0));
`

/** The time of the last backup, for the operator's monitoring. */
export const lastBackup = `
CREATE TABLE last_backup (
  one INTEGER PRIMARY KEY CHECK (one = 1),
  at INTEGER NOT NULL
) STRICT;
`

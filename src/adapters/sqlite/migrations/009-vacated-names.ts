/**
 * The date of each name that has no file: the time when its last content got it. A row is deleted once the second of its
 * date has passed. From now on `users.vacated_at` is the latest date of all deleted rows of the user
 * (`../vacated-names.ts`).
 */
export const vacatedNames = `
CREATE TABLE vacated_names (
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  named_at INTEGER NOT NULL,
  PRIMARY KEY (user_id, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX vacated_names_of_user ON vacated_names (user_id, named_at);
CREATE INDEX vacated_names_by_date ON vacated_names (named_at);
`

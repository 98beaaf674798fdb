/** For removing a user, and for listing users, without looking through the sessions of all. */
export const sessionsOfUser = `
-- \`sessions_of_device\` has no ended sessions, so neither a foreign key nor the last use can be looked up there.
CREATE INDEX sessions_of_user ON sessions (user_id, ended_at);
`

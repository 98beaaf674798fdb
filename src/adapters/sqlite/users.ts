import type { Database } from 'better-sqlite3'
import type { User, UserRepository } from '../../ports.ts'

export function sqliteUsers(db: Database): UserRepository {
  const byEmail = db.prepare<[string], User>(
    'SELECT id, name, email, confirmed_by AS confirmedBy, created_at AS createdAt FROM users WHERE email = ?',
  )
  return {
    async findByEmail(email) {
      return byEmail.get(email) ?? null
    },
  }
}

import type { Database } from 'better-sqlite3'
import type { KeySlot, KeySlotRepository } from '../../ports/accounts.ts'
import { erase } from './erasure.ts'
import type { InTransaction } from './group-commit.ts'

export function sqliteKeySlots(db: Database, inTransaction: InTransaction): KeySlotRepository {
  const ofUser = db.prepare<[string], KeySlot>(
    'SELECT kind, key_id AS keyId, sealed FROM key_slots WHERE user_id = ? ORDER BY kind',
  )
  const counts = db.prepare<[], { keyId: string; slots: number }>(
    'SELECT key_id AS keyId, count(*) AS slots FROM key_slots GROUP BY key_id ORDER BY key_id',
  )
  const others = db.prepare<[{ keyId: string; limit: number }], KeySlot & { owner: string }>(
    `SELECT user_id AS owner, kind, key_id AS keyId, sealed FROM key_slots WHERE key_id < :keyId
     UNION ALL SELECT user_id, kind, key_id, sealed FROM key_slots WHERE key_id > :keyId LIMIT :limit`,
  )
  const add = db.prepare<[KeySlot & { owner: string }]>(
    `INSERT INTO key_slots (user_id, kind, key_id, sealed) VALUES (:owner, :kind, :keyId, :sealed)
     ON CONFLICT DO NOTHING`,
  )
  const replace = db.prepare<[{ owner: string; kind: string; old: Buffer; keyId: string; sealed: Buffer }]>(
    `UPDATE key_slots SET key_id = :keyId, sealed = :sealed
     WHERE user_id = :owner AND kind = :kind AND sealed = :old`,
  )

  return {
    async find(owner) {
      return ofUser.all(owner)
    },

    async add(owner, slot) {
      await inTransaction(() => add.run({ ...slot, owner }))
    },

    async countByKey() {
      return new Map(counts.all().map(({ keyId, slots }) => [keyId, slots]))
    },

    async notUnder(keyId, limit) {
      return others.all({ keyId, limit }).map(({ owner, ...slot }) => ({ owner, slot }))
    },

    replace(owner, old, { kind, keyId, sealed }) {
      return inTransaction(() => replace.run({ owner, kind, old: old.sealed, keyId, sealed }).changes === 1)
    },

    async purge() {
      return erase(db)
    },
  }
}

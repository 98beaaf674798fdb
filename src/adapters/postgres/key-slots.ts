import type { KeySlot, KeySlotRepository } from '../../ports/accounts.ts'
import type { Database } from './database.ts'
import type { DatabaseFault } from './faults.ts'

const SLOT = 'kind, key_id AS "keyId", sealed'
/** Rewriting needs an exclusive lock. All other access waits while the lock is waited for, so this wait is short. */
const PURGE_WAIT_MS = 100

export function postgresKeySlots({ ask, alone }: Database): KeySlotRepository {
  return {
    find: (owner) => ask<KeySlot>(`SELECT ${SLOT} FROM key_slots WHERE user_id = $1 ORDER BY kind`, [owner]),

    async add(owner, { kind, keyId, sealed }) {
      await ask(
        'INSERT INTO key_slots (user_id, kind, key_id, sealed) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING',
        [owner, kind, keyId, sealed],
      )
    },

    async countByKey() {
      const counts = 'SELECT key_id AS "keyId", count(*) AS slots FROM key_slots GROUP BY key_id ORDER BY key_id'
      const rows = await alone((ask) => ask<{ keyId: string; slots: number }>(counts))
      return new Map(rows.map(({ keyId, slots }) => [keyId, slots]))
    },

    async notUnder(keyId, limit) {
      const side = (than: string) =>
        `(SELECT user_id AS owner, ${SLOT} FROM key_slots WHERE key_id ${than} $1 ORDER BY key_id, user_id LIMIT $2)`
      const rows = await ask<KeySlot & { owner: string }>(`${side('<')} UNION ALL ${side('>')} LIMIT $2`, [
        keyId,
        limit,
      ])
      return rows.map(({ owner, ...slot }) => ({ owner, slot }))
    },

    async replace(owner, old, { kind, keyId, sealed }) {
      const rows = await ask(
        `UPDATE key_slots SET key_id = $4, sealed = $5 WHERE user_id = $1 AND kind = $2 AND sealed = $3 RETURNING 1`,
        [owner, kind, old.sealed, keyId, sealed],
      )
      return rows.length === 1
    },

    async purge() {
      try {
        await alone(async (ask) => {
          await ask(`SET lock_timeout = ${PURGE_WAIT_MS}`)
          // Former versions of rows stay in the table until it is rewritten.
          await ask('VACUUM FULL key_slots')
        })
        return true
      } catch (error) {
        if ((error as DatabaseFault).code === 'EAGAIN') return false
        throw error
      }
    },
  }
}

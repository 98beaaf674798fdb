import { setTimeout as sleep } from 'node:timers/promises'
import { isDone, type Rotation } from '../vault/operator/rotation.ts'
import { type Command, counted, withVault } from './command.ts'

/** The pause between two batches, so that servers can write. */
const PAUSE_MS = 40
/** Retries of the purge, because another process, such as a backup, may be reading the database. */
const PURGE_TRIES = 20
const PURGE_EVERY_MS = 250

export const rotateKey: Command = {
  summary: 'lock every vault key with the current master key',
  operands: [],
  options: {},
  changes: true,
  help: `Locks every user's vault key with MASTER_KEY (or the key of MASTER_KEY_FILE) instead of those in MASTER_KEY_PREVIOUS.
Contents are not changed. You can interrupt and repeat it. Before: set the new key as MASTER_KEY and the former one
in MASTER_KEY_PREVIOUS, and restart the server. After exit code 0: remove the former key from MASTER_KEY_PREVIOUS,
and keep it as long as you keep backups from before the rotation.`,

  run: ({ config, progress }) =>
    withVault(config, async (vault, { keySlots, census }) => {
      const { slots } = await census()
      const add = progress(Object.values(slots).reduce((sum, count) => sum + count, 0))
      const rotation = await vault.rotate(async (done) => {
        add(done)
        await sleep(PAUSE_MS)
      })
      for (let tries = 1; !rotation.purged && tries < PURGE_TRIES; tries += 1) {
        await sleep(PURGE_EVERY_MS)
        rotation.purged = await keySlots.purge()
      }
      const ok = isDone(rotation)
      return { ok, report: { ok, ...rotation }, lines: linesOf(rotation) }
    }),
}

function linesOf(rotation: Rotation): string[] {
  const { current, replaced, slots, locked, sealing, purged } = rotation
  return [
    `locked ${counted(replaced, 'key slot')} with master key ${current}`,
    ...Object.entries(slots).map(([id, count]) => `${counted(count, 'key slot')} under ${id}`),
    ...locked.map((user) => `locked: user ${user}: the key slot does not open`),
    ...sealing.map(
      (id) => `a running server still locks new users' keys with ${id}: restart it with ${current} as MASTER_KEY`,
    ),
    ...(purged
      ? []
      : ['the replaced key slots are still in the log of the database, because another process is reading it']),
    isDone(rotation)
      ? 'the former master keys are not needed any more, except for older backups'
      : 'not done yet: keep the former master keys, and run this again',
  ]
}

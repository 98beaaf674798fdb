import { setTimeout as sleep } from 'node:timers/promises'
import { isDone, type Rotation } from '../vault/operator/rotation.ts'
import { type Command, counted, withVault } from './command.ts'

/** Between two batches, so that servers find room for their own writes. */
const PAUSE_MS = 40
/** Somebody may be reading the database: a backup, for as long as it copies it. */
const PURGE_TRIES = 20
const PURGE_EVERY_MS = 250

export const rotateKey: Command = {
  summary: 'put every vault key under the current master key',
  operands: [],
  options: {},
  changes: true,
  help: `Locks every user's vault key with MASTER_KEY (or what stands for it) instead of those in MASTER_KEY_PREVIOUS.
Contents are not touched. May be broken off and run again. Before it: give the new key as MASTER_KEY and the
former one in MASTER_KEY_PREVIOUS, and restart the server. After it ended with 0: take the former key out of
MASTER_KEY_PREVIOUS, and keep it for as long as you keep backups from before.`,

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
    ...(purged ? [] : ['what was replaced is still in the log of the database, which another process is reading']),
    isDone(rotation)
      ? 'the former master keys are not needed any more, but for backups from before'
      : 'not done yet: keep the former master keys, and run this again',
  ]
}

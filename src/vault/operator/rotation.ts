/** A new master key: every vault key is put under it. Contents are not touched. */
import type { KeySlot } from '../../ports/accounts.ts'
import type { Ports } from '../../ports/ports.ts'
import type { Keyring } from '../crypto/keyring.ts'

/** Slots that are replaced in one act: other processes wait for it. */
const BATCH = 100

export interface Rotation {
  /** The id of the current master key. */
  current: string
  /** Slots that were put under it now. */
  replaced: number
  /** Slots by the master key that they are under now. */
  slots: Record<string, number>
  /** Users whose slot does not open. */
  locked: string[]
  /** Master keys under which running servers still lock new users' keys. */
  sealing: string[]
  /** Nothing is left of the slots that were replaced. */
  purged: boolean
}

/** Whether the former master keys are not needed any more. */
export function isDone({ current, slots, sealing, purged }: Rotation): boolean {
  return sealing.length === 0 && purged && Object.keys(slots).every((id) => id === current)
}

/**
 * Safe beside servers, to break off anywhere and to repeat. Throws where a server that is running could not open what
 * this makes, and where a slot is under a key that is not here.
 */
export async function rotate(
  { ledger, keySlots }: Pick<Ports, 'ledger' | 'keySlots'>,
  keys: Keyring,
  pause: (done: number) => Promise<void>,
): Promise<Rotation> {
  await keys.check()
  const locked = new Set<string>()
  let replaced = 0
  for (;;) {
    await refuseBlindRuns()
    // Those that do not open stay in front.
    const others = await keySlots.notUnder(keys.currentId, BATCH + locked.size)
    const batch = others.filter(({ owner }) => !locked.has(owner))
    if (batch.length === 0) break
    const done = await Promise.all(batch.map(replace))
    replaced += done.filter((one) => one).length
    await pause(batch.length)
  }
  await refuseBlindRuns()
  const current = keys.currentId
  const sealing = new Set((await ledger.livingRuns()).map(({ keyIds: [first] }) => first ?? 'unknown'))
  sealing.delete(current)
  const slots = Object.fromEntries(await keySlots.countByKey())
  return { current, replaced, slots, locked: [...locked], sealing: [...sealing], purged: await keySlots.purge() }

  /** One that was replaced or removed meanwhile is not there in the next batch, or there as it is then. */
  async function replace({ owner, slot }: { owner: string; slot: KeySlot }): Promise<boolean> {
    const fresh = relock(owner, slot)
    if (fresh) return keySlots.replace(owner, slot, fresh)
    locked.add(owner)
    return false
  }

  function relock(owner: string, slot: KeySlot): KeySlot | null {
    try {
      return keys.relock(owner, slot)
    } catch {
      return null
    }
  }

  async function refuseBlindRuns() {
    const blind = (await ledger.livingRuns()).filter(({ keyIds }) => !keyIds.includes(keys.currentId))
    if (blind.length === 0) return
    throw new Error(
      `a running server cannot open what is locked with the current master key ${keys.currentId}. Add that key to MASTER_KEY_PREVIOUS of every server and restart it; then make it MASTER_KEY, with the former one in MASTER_KEY_PREVIOUS, restart again, and run this once more`,
    )
  }
}

/** Rotates the master key: every vault key is sealed under the new one. Contents are not touched. */
import type { KeySlot } from '../../ports/accounts.ts'
import type { Ports } from '../../ports/ports.ts'
import type { Keyring } from '../crypto/keyring.ts'

/** Slots that are replaced in one batch. Other processes wait for it. */
const BATCH = 100

export interface Rotation {
  /** The id of the current master key. */
  current: string
  /** Slots that were sealed under the current master key now. */
  replaced: number
  /** The number of slots by the id of their master key. */
  slots: Record<string, number>
  /** Users whose slot does not open. */
  locked: string[]
  /** Master keys, other than the current one, under which running servers still seal keys of new users. */
  sealing: string[]
  /** True if nothing is left of the replaced slots. */
  purged: boolean
}

/** True if the former master keys are not needed any more. */
export function isDone({ current, slots, sealing, purged }: Rotation): boolean {
  return sealing.length === 0 && purged && Object.keys(slots).every((id) => id === current)
}

/**
 * Safe beside servers; it may stop anywhere and be repeated. Throws if a running server could not open the new slots,
 * or if a slot is sealed under a master key that is not given.
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
    await refuseRunsWithoutKey()
    // Slots that do not open stay at the front of the list.
    const others = await keySlots.notUnder(keys.currentId, BATCH + locked.size)
    const batch = others.filter(({ owner }) => !locked.has(owner))
    if (batch.length === 0) break
    const done = await Promise.all(batch.map(replace))
    replaced += done.filter((one) => one).length
    await pause(batch.length)
  }
  await refuseRunsWithoutKey()
  const current = keys.currentId
  const sealing = new Set((await ledger.livingRuns()).map(({ keyIds: [first] }) => first ?? 'unknown'))
  sealing.delete(current)
  const slots = Object.fromEntries(await keySlots.countByKey())
  return { current, replaced, slots, locked: [...locked], sealing: [...sealing], purged: await keySlots.purge() }

  /** A slot that another process replaced or removed is not in the next batch, or is there in its new form. */
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

  async function refuseRunsWithoutKey() {
    const withoutKey = (await ledger.livingRuns()).filter(({ keyIds }) => !keyIds.includes(keys.currentId))
    if (withoutKey.length === 0) return
    throw new Error(
      `a running server cannot open what is locked with the current master key ${keys.currentId}. Add that key to MASTER_KEY_PREVIOUS of every server and restart it; then make it MASTER_KEY, with the former one in MASTER_KEY_PREVIOUS, restart again, and run this once more`,
    )
  }
}

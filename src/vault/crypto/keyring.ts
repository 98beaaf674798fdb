/** Master keys and what they lock: every user's vault key, in slots (`docs/blob-format.md`). */
import type { KeySlot, KeySlotRepository } from '../../ports/accounts.ts'
import type { Chance, MasterKeys } from '../../ports/ports.ts'
import { problems } from '../../problems.ts'
import { open, seal } from './gcm.ts'
import { hkdf } from './hkdf.ts'

const SLOT = 'minikeepsafe slot 1'
/** Whose slot the server's own key is in. No user has this id. */
const SERVER = 'server'

export type Keyring = ReturnType<typeof keyring>

/** What tells master keys apart; it tells nothing about the key. */
export function keyIdOf(masterKey: Buffer): string {
  return hkdf(masterKey, '', 'minikeepsafe master key id 1', 8).toString('hex')
}

/** Throws where a key that is needed is not among those at hand. */
export function refuseMissingKeys(atHand: string[], needed: string[]): void {
  const missing = needed.filter((id) => !atHand.includes(id))
  if (missing.length === 0) return
  throw new Error(
    `the vaults are locked with master key ${missing.join(', ')}, and the key given here is ${atHand.join(', ')}. Give the right one in MASTER_KEY or MASTER_KEY_FILE, or a former one in MASTER_KEY_PREVIOUS`,
  )
}

export function keyring({ current, previous }: MasterKeys, slots: KeySlotRepository, { bytes }: Pick<Chance, 'bytes'>) {
  const currentId = keyIdOf(current)
  let opening: Promise<Buffer> | null = null
  const slotKeys = new Map([current, ...previous].map((key) => [keyIdOf(key), hkdf(key, '', SLOT, 32)]))

  return {
    currentId,
    keyIds: [...slotKeys.keys()],
    /** Keys the digests of pending PINs. */
    pinKey: async () => hkdf(await ownKey(), '', 'minikeepsafe pin 1', 32),
    /** Keys the digests of addresses at which guesses are counted. */
    addressKey: async () => hkdf(await ownKey(), '', 'minikeepsafe address 1', 32),

    /** The first slot of a new user's vault. */
    newSlot: (owner: string): KeySlot => lock(owner, bytes(32)),

    /** The key of the owner's vault out of its slot. */
    open: unlock,

    /** The key of the owner's vault; `unauthorized` where there is no such user any more. */
    async vaultKey(owner: string): Promise<Buffer> {
      const [slot] = await slots.find(owner)
      if (!slot) throw problems.unauthorized()
      return unlock(owner, slot)
    },

    /** The same vault key under the current master key. */
    relock: (owner: string, slot: KeySlot): KeySlot => lock(owner, unlock(owner, slot)),

    /** Throws where vaults are locked with a master key that is not here. */
    async check(): Promise<void> {
      refuseMissingKeys([...slotKeys.keys()], [...(await slots.countByKey()).keys()])
    },
  }

  /** The server's own: the same in every process and under every master key, so that no counter starts again. */
  function ownKey(): Promise<Buffer> {
    opening ??= openOwnKey().catch((error: unknown) => {
      opening = null
      throw error
    })
    return opening
  }

  async function openOwnKey(): Promise<Buffer> {
    const [slot] = await slots.find(SERVER)
    if (slot) return unlock(SERVER, slot)
    await slots.add(SERVER, lock(SERVER, bytes(32)))
    // Another process may have been the first.
    return openOwnKey()
  }

  function lock(owner: string, vaultKey: Buffer): KeySlot {
    const slot = { kind: 'server' as const, keyId: currentId }
    const key = slotKeys.get(currentId) as Buffer
    return { ...slot, sealed: seal(key, bytes(12), contextOf(owner, slot), vaultKey) }
  }

  function unlock(owner: string, slot: KeySlot): Buffer {
    const key = slotKeys.get(slot.keyId)
    if (!key) throw new Error(`a vault is locked with master key ${slot.keyId}, which is not here`)
    return open(key, contextOf(owner, slot), slot.sealed)
  }
}

function contextOf(owner: string, { kind, keyId }: Pick<KeySlot, 'kind' | 'keyId'>): Buffer {
  return Buffer.from([SLOT, kind, owner, keyId].join('\0'))
}

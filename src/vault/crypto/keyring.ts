/** Master keys, and the slots that they seal: each user's vault key (`docs/blob-format.md`). */
import type { KeySlot, KeySlotRepository } from '../../ports/accounts.ts'
import type { Chance, Ports } from '../../ports/ports.ts'
import { problems } from '../../problems.ts'
import { open, seal } from './gcm.ts'
import { hkdf } from './hkdf.ts'

const SLOT = 'minikeepsafe slot 1'
/** The owner of the slot of the server's own key. No user has this id. */
const SERVER = 'server'

export interface Keyring {
  currentId: string
  /** The ids of all given master keys, the current one first. */
  keyIds: string[]
  /** The key for digests of pending PINs. */
  pinKey(): Promise<Buffer>
  /** The key for digests of addresses at which guesses are counted. */
  addressKey(): Promise<Buffer>
  /** The first slot of a new user's vault. */
  newSlot(owner: string): KeySlot
  /** Opens a slot: returns the owner's vault key. */
  open(owner: string, slot: KeySlot): Buffer
  /** The owner's vault key; `unauthorized` if the user does not exist any more. */
  vaultKey(owner: string): Promise<Buffer>
  /** Seals the same vault key under the current master key. */
  relock(owner: string, slot: KeySlot): KeySlot
  /** Throws if a slot is sealed under a master key that is not given. */
  check(): Promise<void>
}

interface KeyringPorts extends Pick<Ports, 'masterKeys'> {
  keySlots: Pick<KeySlotRepository, 'find' | 'add' | 'countByKey'>
  chance: Pick<Chance, 'bytes'>
}

/** The id of a master key. It reveals nothing about the key. */
export function keyIdOf(masterKey: Buffer): string {
  return hkdf(masterKey, '', 'minikeepsafe master key id 1', 8).toString('hex')
}

/** Throws if a needed key is not among the given ones. */
export function refuseMissingKeys(atHand: string[], needed: string[]): void {
  const missing = needed.filter((id) => !atHand.includes(id))
  if (missing.length === 0) return
  throw new Error(
    `the vaults are locked with master key ${missing.join(', ')}, and the key given here is ${atHand.join(', ')}. Give the right one in MASTER_KEY or MASTER_KEY_FILE, or a former one in MASTER_KEY_PREVIOUS`,
  )
}

export function openKeyring({ ports: { masterKeys, keySlots, chance } }: { ports: KeyringPorts }): Keyring {
  const { current, previous } = masterKeys
  const currentId = keyIdOf(current)
  let opening: Promise<Buffer> | null = null
  const slotKeys = new Map([current, ...previous].map((key) => [keyIdOf(key), hkdf(key, '', SLOT, 32)]))

  return {
    currentId,
    keyIds: [...slotKeys.keys()],
    pinKey: async () => hkdf(await ownKey(), '', 'minikeepsafe pin 1', 32),
    addressKey: async () => hkdf(await ownKey(), '', 'minikeepsafe address 1', 32),
    newSlot: (owner) => lock(owner, chance.bytes(32)),
    open: unlock,

    async vaultKey(owner) {
      const [slot] = await keySlots.find(owner)
      if (!slot) throw problems.unauthorized()
      return unlock(owner, slot)
    },

    relock: (owner, slot) => lock(owner, unlock(owner, slot)),

    async check() {
      refuseMissingKeys([...slotKeys.keys()], [...(await keySlots.countByKey()).keys()])
    },
  }

  /** The server's own key. It is the same in every process and under every master key, so no counter starts again. */
  function ownKey(): Promise<Buffer> {
    opening ??= openOwnKey().catch((error: unknown) => {
      opening = null
      throw error
    })
    return opening
  }

  async function openOwnKey(): Promise<Buffer> {
    const [slot] = await keySlots.find(SERVER)
    if (slot) return unlock(SERVER, slot)
    await keySlots.add(SERVER, lock(SERVER, chance.bytes(32)))
    // Another process may have added its slot first, so the slot is read again.
    return openOwnKey()
  }

  function lock(owner: string, vaultKey: Buffer): KeySlot {
    const slot = { kind: 'server' as const, keyId: currentId }
    const key = slotKeys.get(currentId) as Buffer
    return { ...slot, sealed: seal(key, chance.bytes(12), contextOf(owner, slot), vaultKey) }
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

/** The vault for the operator's commands, beside a server or without one. It opens no run, so it accepts no uploads. */
import type { Caller, ListedUser, User, UserRepository } from '../../ports/accounts.ts'
import type { BlobStore } from '../../ports/blobs.ts'
import type { OperatorPorts } from '../../ports/operator.ts'
import type { VaultRules } from '../../ports/ports.ts'
import { openAccounts } from '../accounts/account.ts'
import { openActivity } from '../accounts/activity.ts'
import { openBackgroundWork } from '../background.ts'
import { openKeyring } from '../crypto/keyring.ts'
import { pinDigest } from '../crypto/secrets.ts'
import { openDoubtfulBlobs } from '../files/doubtful-blobs.ts'
import { openGarbageCollector } from '../files/garbage.ts'
import { openReadBacks } from '../files/read-backs.ts'
import { openUnsealing } from '../files/stored-file.ts'
import { openSweeper } from '../files/sweeper.ts'
import { openTrash } from '../files/trash.ts'
import type { ShownPin } from '../sign-in/enrolment.ts'
import { mailAddress } from '../sign-in/mail-address.ts'
import { openSessions } from '../sign-in/sessions.ts'
import { openTurns } from '../turns.ts'
import { expireUploads } from '../uploads/uploads.ts'
import { type Rotation, rotate } from './rotation.ts'
import { type Verification, verify } from './verify.ts'

export interface OperatorsVault {
  /**
   * Opens every file and compares the ledger with the blobs. `onBytes` is called with the number of bytes that were
   * read.
   */
  verify(onBytes: (bytes: number) => void): Promise<Verification>
  /** Seals every vault key under the current master key. It waits for `pause` after each short batch. */
  rotate(pause: (done: number) => Promise<void>): Promise<Rotation>
  /** One round of sweeping, as a server does it. False while a server does one. */
  sweep(): Promise<boolean>
  /** The user with this address or this id; `null` if there is none. */
  findUser(addressOrId: string): Promise<User | null>
  /**
   * A PIN for a device of this user, meant for a user who has lost every other device. `null` if there is no such user.
   * The PIN is stored in the database, because the server's pending PINs may be in its memory.
   */
  handOutPin(addressOrId: string, deviceId: string): Promise<ShownPin | null>
  /** Ends all sessions of a user, in every server at once. Returns the number of sessions that had not expired. */
  endSessions(id: string): Promise<number>
  /** Removes an account, as its user can do it. False if there is no such user. */
  removeUser(id: string): Promise<boolean>
}

export function openOperatorsVault(ports: OperatorPorts, rules: VaultRules): OperatorsVault {
  const { users, ledger, blobs } = ports
  const keys = openKeyring({ ports })
  const work = openBackgroundWork({ ports })
  const turns = openTurns()
  const shared = {
    ports,
    rules,
    keys,
    background: work.run,
    turns,
    repeat: work.repeat,
    // There are no uploads here, so no blob is ever doubtful.
    doubtfulBlobs: openDoubtfulBlobs({ ports }),
    collect: openGarbageCollector({ ports, turns }),
    observe: () => {},
    unsealPage: openUnsealing({ turns }),
  }
  const readBacks = openReadBacks(shared)
  const activity = openActivity(shared)
  const sessions = openSessions({ ...shared, activity })
  const trash = openTrash({ ...shared, activity })
  const accounts = openAccounts({ ...shared, trash })
  const uploads = { expire: () => expireUploads(shared) }
  const sweeper = openSweeper({ ...shared, sessions, trash, uploads, accounts, activity })

  return {
    verify: (onBytes) => verify({ ports, keys, onBytes, readBacks }),

    async rotate(pause) {
      const rotation = await rotate(ports, keys, pause)
      if (rotation.replaced > 0) ports.audit('master-key-rotated', { caller: OPERATOR, key: rotation.current })
      return rotation
    },

    async sweep() {
      const done = await sweeper.sweep(null)
      if (done) await removeEmptyFolders()
      return done
    },

    findUser,

    async handOutPin(addressOrId, deviceId) {
      if (!DEVICE_ID.test(deviceId)) throw new Error('a device id has 8 to 128 characters of A-Z a-z 0-9 . _ : -')
      const user = await findUser(addressOrId)
      if (!user) return null
      const pin = ports.chance.pin()
      const expiresAt = ports.clock() + rules.pinTtlMs
      const issued = {
        id: ports.chance.id(),
        deviceId,
        origin: 'vouched' as const,
        kind: 'pin' as const,
        address: null,
        grant: { kind: 'user' as const, userId: user.id, vouchedBy: null },
        expiresAt,
      }
      await ports.pinLedger.handOut({ ...issued, digest: pinDigest(await keys.pinKey(), issued, pin) })
      activity.note(user.id, 'pin-issued', OPERATOR, { deviceId })
      await work.settled()
      return { deviceId, pin, pinExpiresAt: expiresAt }
    },

    async endSessions(id) {
      const ended = await sessions.endAll(id, OPERATOR)
      await work.settled()
      return ended
    },

    async removeUser(id) {
      if (!(await users.find(id))) return false
      await accounts.remove(id, OPERATOR)
      await work.settled()
      if ((await users.departed(BATCH)).includes(id)) {
        const reader = new Error('another process is reading the database; the next sweep tries again')
        ports.alarm(reader, 'forgetting the keys of the user')
      }
      await removeEmptyFolders()
      return true
    },
  }

  async function findUser(addressOrId: string): Promise<User | null> {
    return addressOrId.includes('@') ? users.findByEmail(mailAddress(addressOrId)) : users.find(addressOrId)
  }

  /** A run is in the ledger before it has a folder. So a run that was found and does not live is over. */
  async function removeEmptyFolders(): Promise<void> {
    const runs = await blobs.runs()
    const living = new Set((await ledger.livingRuns()).map(({ run }) => run))
    for (const run of runs) if (!living.has(run)) await blobs.closeRun(run)
  }
}

const BATCH = 100

const DEVICE_ID = /^[A-Za-z0-9._:-]{8,128}$/

/** The caller in the activity list of an account and in the audit. */
export const OPERATOR: Caller = { address: '', userAgent: 'the operator of this server', requestId: '' }

/** All users, ordered by id. */
export async function* allUsers({ page }: Pick<UserRepository, 'page'>): AsyncGenerator<ListedUser> {
  for (let after = ''; ; ) {
    const users = await page(after, BATCH)
    yield* users
    const last = users.at(-1)
    if (!last) return
    after = last.id
  }
}

/** The number of blobs, and their bytes. Blobs that are deleted meanwhile are not counted. */
export async function measureBlobs(blobs: Pick<BlobStore, 'runs' | 'list' | 'length'>) {
  const sum = { count: 0, bytes: 0 }
  for (const run of await blobs.runs()) {
    for await (const found of blobs.list(run))
      for (let at = 0; at < found.length; at += BATCH) {
        const lengths = await Promise.all(found.slice(at, at + BATCH).map(blobs.length))
        for (const bytes of lengths) {
          if (bytes === null) continue
          sum.count += 1
          sum.bytes += bytes
        }
      }
  }
  return sum
}

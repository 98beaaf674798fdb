/** The vault for its operator's commands: beside a server or without one. No run is opened, so nothing is uploaded. */
import type { Caller, ListedUser, User, UserRepository } from '../../ports/accounts.ts'
import type { BlobStore } from '../../ports/blobs.ts'
import type { OperatorPorts } from '../../ports/operator.ts'
import type { VaultRules } from '../../ports/ports.ts'
import { account } from '../accounts/account.ts'
import { activity } from '../accounts/activity.ts'
import { workAside } from '../aside.ts'
import { backgroundWork } from '../background.ts'
import { keyring } from '../crypto/keyring.ts'
import { pinDigest } from '../crypto/secrets.ts'
import { garbageCollector } from '../files/garbage.ts'
import { unsealing } from '../files/stored-file.ts'
import { sweepRound } from '../files/sweeper.ts'
import { trash } from '../files/trash.ts'
import type { ShownPin } from '../sign-in/enrolment.ts'
import { mailAddress } from '../sign-in/mail-address.ts'
import { sessions } from '../sign-in/sessions.ts'
import { rotate } from './rotation.ts'
import { verify } from './verify.ts'

export function operatorsVault(ports: OperatorPorts, rules: VaultRules) {
  const { users, ledger, blobs } = ports
  const keys = keyring(ports.masterKeys, ports.keySlots, ports.chance)
  const background = backgroundWork(ports.alarm)
  const collect = garbageCollector(ports)
  const happenings = activity(ports, rules, keys, background.run)
  const signedIn = sessions(ports, rules, keys, background.run, workAside(ports, rules, background.run), happenings)
  const bin = trash(ports, rules, keys, collect, happenings.note, unsealing())
  const accounts = account(ports, rules, background.run, collect, bin.expireOf)

  return {
    /** Looks at everything; `onBytes` hears of what was read. */
    verify: (onBytes: (bytes: number) => void) => verify(ports, keys, onBytes),

    /** Puts every vault key under the current master key; `pause` is waited for after each short batch. */
    rotate: (pause: (done: number) => Promise<void>) => rotate(ports, keys, pause),

    /** One round of sweeping, as a server does it. False where one is at it. */
    async sweep(): Promise<boolean> {
      const done = await sweepRound(ports, null, new Set(), keys, {
        sessions: signedIn,
        trash: bin,
        account: accounts,
        activity: happenings,
      })
      if (done) await removeEmptyFolders()
      return done
    },

    /** The user with this address or this id. */
    async findUser(addressOrId: string): Promise<User | null> {
      return addressOrId.includes('@') ? users.findByEmail(mailAddress(addressOrId)) : users.find(addressOrId)
    },

    /**
     * A PIN for a device of this user, for whoever has lost every other. Null where there is no such user. It is handed out
     * through the database: the server keeps its own pending PINs to itself.
     */
    async handOutPin(addressOrId: string, deviceId: string): Promise<ShownPin | null> {
      if (!DEVICE_ID.test(deviceId)) throw new Error('a device id has 8 to 128 characters of A-Z a-z 0-9 . _ : -')
      const user = await this.findUser(addressOrId)
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
      happenings.note(user.id, 'pin-issued', OPERATOR, { deviceId })
      await background.settled()
      return { deviceId, pin, pinExpiresAt: expiresAt }
    },

    /** Signs a user out everywhere, and answers how many sessions that were. It is in force at once, in every server. */
    async endSessions(id: string): Promise<number> {
      const ended = await signedIn.endAll(id, OPERATOR)
      await background.settled()
      return ended
    },

    /** The end of an account, as its user could bring it about. False where there is no such user. */
    async removeUser(id: string): Promise<boolean> {
      if (!(await users.find(id))) return false
      await accounts.remove(id)
      await background.settled()
      if ((await users.departed(BATCH)).includes(id)) {
        const reader = new Error('another process is reading the database; the next sweep tries again')
        ports.alarm(reader, 'forgetting the keys of the user')
      }
      await removeEmptyFolders()
      return true
    },
  }

  /** A run stands in the books before it has a folder, so one that was found and does not live is over. */
  async function removeEmptyFolders(): Promise<void> {
    const runs = await blobs.runs()
    const living = new Set((await ledger.livingRuns()).map(({ run }) => run))
    for (const run of runs) if (!living.has(run)) await blobs.closeRun(run)
  }
}

const BATCH = 100

const DEVICE_ID = /^[A-Za-z0-9._:-]{8,128}$/

/** In the list of what happened to an account. */
const OPERATOR: Caller = { address: '', userAgent: 'the operator of this server', requestId: '' }

/** All users, in the order of their ids. */
export async function* allUsers({ page }: Pick<UserRepository, 'page'>): AsyncGenerator<ListedUser> {
  for (let after = ''; ; ) {
    const users = await page(after, BATCH)
    yield* users
    const last = users.at(-1)
    if (!last) return
    after = last.id
  }
}

/** How many blobs there are, and their bytes. What goes meanwhile is not counted. */
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

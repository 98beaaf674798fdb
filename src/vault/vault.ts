/** The vault: all its rules over one set of ports. */
import type { Ports, VaultRules } from '../ports/ports.ts'
import { problems } from '../problems.ts'
import { account } from './accounts/account.ts'
import { activity } from './accounts/activity.ts'
import { workAside } from './aside.ts'
import { backgroundWork } from './background.ts'
import { keyring } from './crypto/keyring.ts'
import { admission, changedNothing } from './files/admission.ts'
import { exporting } from './files/export.ts'
import { files } from './files/files.ts'
import { garbageCollector } from './files/garbage.ts'
import { unsealing } from './files/stored-file.ts'
import { sweepRound } from './files/sweeper.ts'
import { trash } from './files/trash.ts'
import { enrolment } from './sign-in/enrolment.ts'
import { sessions } from './sign-in/sessions.ts'

export type Vault = Awaited<ReturnType<typeof openVault>>

/** Opens the vault for one run of this process. Throws where it is locked with other keys than those at hand. */
export async function openVault(ports: Ports, rules: VaultRules) {
  const keys = keyring(ports.masterKeys, ports.keySlots, ports.chance)
  await keys.check()
  const background = backgroundWork(ports.alarm)
  let draining = false
  const uploads = admission(ports, keys.keyIds)
  if (!rules.readOnly) await begin()

  /**
   * Blobs that the database was asked to name, and failed; it has decided by the time it says so. And those that the store
   * was asked to keep, and did not say that it does.
   */
  const doubtful = new Set<string>()
  const collect = garbageCollector(ports)
  const happenings = activity(ports, rules, keys, background.run)
  const aside = workAside(ports, rules, background.run)
  const signedIn = sessions(ports, rules, keys, background.run, aside, happenings)
  const unsealPage = unsealing()
  const bin = trash(ports, rules, keys, collect, happenings.note, unsealPage)
  const accounts = account(ports, rules, background.run, collect, bin.expireOf)

  let sweeping = Promise.resolve()

  return {
    rules,
    enrolment: enrolment(ports, rules, keys, background.run, aside, happenings),
    sessions: signedIn,
    activity: happenings,
    files: files(
      ports,
      rules,
      keys,
      uploads,
      background.run,
      doubtful,
      collect,
      happenings.note,
      unsealPage,
      bin.expireOf,
    ),
    trash: bin,
    account: accounts,
    exports: exporting(ports, rules, keys, happenings.note),

    /** Starts one round of sweeping, after those that were started before; the operator hears of it if it fails. */
    sweep(): void {
      if (rules.readOnly) return
      const sources = { sessions: signedIn, trash: bin, account: accounts, activity: happenings }
      sweeping = sweeping.then(async () => {
        await sweepRound(ports, uploads.run(), doubtful, keys, sources)
      })
      background.run('sweeping', sweeping)
    },

    /** Throws `not-ready`, naming what is down. */
    async ready(): Promise<void> {
      const outcomes = await Promise.all(
        Object.entries(ports.checks).map(([name, check]) =>
          check().then(
            () => [],
            (error: unknown) => {
              ports.alarm(error, `checking ${name}`)
              return [name]
            },
          ),
        ),
      )
      const down = [...outcomes.flat(), ...(draining ? ['the server is closing'] : [])]
      if (down.length > 0) throw problems.notReady(`Not working: ${down.join(', ')}.`)
    },

    /** From now on the vault is not ready; what is under way goes on. */
    drain(): void {
      draining = true
    },

    /** Waits for work in the background. */
    settled: background.settled,

    /** Finishes what is under way in the background and lets go of every engine. */
    async close(): Promise<void> {
      aside.hurry()
      await ports.stopWaiting()
      await background.settled()
      await ports.close()
    },
  }

  /**
   * On a full disk there is no run to open yet. Reads and deletes go on, and the first upload after it opens the run. Former
   * runs end now, and not with the first sweep: what they could open concerns nobody any more.
   */
  async function begin(): Promise<void> {
    try {
      await uploads.admit()
      await ports.ledger.endedRuns(uploads.run())
    } catch (error) {
      if (!changedNothing(error)) throw error
      ports.alarm(error, 'getting ready for uploads')
    }
  }
}

/** The vault: all its rules over one set of ports. */
import type { Ports, VaultRules } from '../ports.ts'
import { problems } from '../problems.ts'
import { backgroundWork } from './background.ts'
import { enrolment } from './enrolment.ts'
import { files } from './files.ts'
import { sessions } from './sessions.ts'
import { sweep } from './sweeper.ts'

export type Vault = Awaited<ReturnType<typeof openVault>>

/** Opens the vault for one run of this process. */
export async function openVault(ports: Ports, rules: VaultRules) {
  const background = backgroundWork(ports.alarm)
  const run = ports.chance.id()
  let draining = false
  await ports.ledger.openRun(run, ports.clock())

  /** Blobs that the database was asked to name, and failed; it has decided by the time it says so. */
  const doubtful = new Set<string>()
  const signedIn = sessions(ports, rules, background.run)

  return {
    rules,
    enrolment: enrolment(ports, rules, background.run),
    sessions: signedIn,
    files: files(ports, rules, run, background.run, doubtful),

    /** Starts one round of sweeping; the operator hears of it if it fails. */
    sweep(): void {
      background.run('sweeping blobs', sweep(ports, run, doubtful))
      background.run('forgetting sessions', signedIn.forgetEnded())
    },

    /** Throws `not-ready`, naming what is down. */
    async ready(): Promise<void> {
      const outcomes = await Promise.all(
        Object.entries(ports.checks).map(([name, check]) =>
          check().then(
            () => [],
            () => [name],
          ),
        ),
      )
      const down = [...outcomes.flat(), ...(draining ? ['the server is closing'] : [])]
      if (down.length > 0) throw problems.notReady(down)
    },

    /** From now on the vault is not ready; what is under way goes on. */
    drain(): void {
      draining = true
    },

    /** Waits for work in the background. */
    settled: background.settled,

    /** Finishes what is under way in the background and lets go of every engine. */
    async close(): Promise<void> {
      await background.settled()
      await ports.close()
    },
  }
}

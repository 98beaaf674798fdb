/** What the operator does while the phones work. */
import { randomBytes } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { temporaryFolder } from '../support/app.ts'
import { command, serverProcess } from '../support/process.ts'
import type { Journal } from './journal.ts'
import type { Outages } from './outages.ts'
import type { Phone } from './phone.ts'
import type { Random } from './random.ts'
import type { Shape } from './shape.ts'

export type Operator = ReturnType<typeof openOperator>

const KEEP = '3'
const TRIES = 20
const AGAIN_MS = 250
const ROTATION_MS = 90_000
const ROTATION_AGAIN_MS = 3000

export interface Task {
  name: string
  run(): Promise<void>
}

export function openOperator(shape: Shape, journal: Journal, outages: Outages, phones: Phone[], random: Random) {
  const { folder, settings, serverSettings, fleet } = shape
  let backupFolder: Promise<string> | null = null

  const rotateKey: Task = {
    name: 'rotate the master key',
    async run() {
      const [former, next] = [settings.MASTER_KEY as string, randomBytes(32).toString('base64')]
      // With one server the first round is not needed, and does no harm.
      await change({ MASTER_KEY_PREVIOUS: next })
      await change({ MASTER_KEY: next, MASTER_KEY_PREVIOUS: former })
      if (await rotated()) await change({ MASTER_KEY_PREVIOUS: '' })
    },
  }
  const upgrade: Task = { name: 'upgrade', run: () => outages.during(fleet.restart) }
  const backup: Task = {
    name: 'backup',
    run: async () => void (await succeed(['backup', await backups(), '--keep', KEEP])),
  }
  const verify: Task = { name: 'verify', run: async () => void (await succeed(['verify'])) }
  const count: Task = {
    name: 'stats and users',
    async run() {
      await succeed(['stats'])
      const { users = [] } = (await succeed(['users'])) as { users?: unknown[] }
      if (users.length !== phones.length) journal.violation(`${users.length} users of ${phones.length} phones`)
    },
  }
  const endSessions: Task = {
    name: 'sessions end',
    async run() {
      const phone = random.pick(phones)
      if (!phone) return
      phone.wasSignedOut()
      await succeed(['sessions', 'end', phone.email])
    },
  }

  return {
    run,
    /** Tasks that restart servers, and the others. */
    restarting: [rotateKey, upgrade, upgrade],
    sparing: [...(shape.hasBackup ? [backup] : []), verify, endSessions, count],

    /** A full disk takes no PIN. */
    async pinFor(email: string, deviceId: string): Promise<string> {
      for (;;) {
        const wasCalm = outages.isCalm()
        const made = await run(['pin', email, deviceId])
        const isExcused = made.code !== 0 && !(wasCalm && outages.isCalm())
        if (!isExcused) return (expectSuccess('pin', made) as { pin: string }).pin
        await outages.calm()
      }
    },

    /** While a server sweeps, or a backup of before holds the blobs, it is asked again. */
    async sweep() {
      for (let tries = 1; ; tries += 1) {
        const { code, report } = await run(['sweep'])
        if (code === 0) return report as { garbage: number; runs: number }
        if (tries === TRIES) journal.violation(`sweep: ${JSON.stringify(report)}`)
        if (tries === TRIES) return { garbage: -1, runs: -1 }
        await pause(AGAIN_MS)
      }
    },

    /** While no phone works: backs up, restores, starts a server there, and compares every file of those that are signed in. */
    async restore(awake: Phone[]) {
      const from = await backups()
      await succeed(['backup', from, '--keep', KEEP])
      const home = join(await temporaryFolder(), 'restored')
      await mkdir(home)
      await succeed(['restore', from], home)
      await succeed(['verify'], home)
      const restored = serverProcess(home, settings)
      const url = await restored.url
      for (const phone of awake) await phone.compareContents(url)
      await restored.stop('SIGTERM')
    },

    succeed,
  }

  function backups(): Promise<string> {
    backupFolder ??= temporaryFolder().then((home) => join(home, 'backup'))
    return backupFolder
  }

  async function change(keys: Record<string, string>): Promise<void> {
    Object.assign(settings, keys)
    Object.assign(serverSettings, keys)
    await outages.during(fleet.restart)
  }

  /** It refuses while a server that was killed may still run, so for a minute. */
  async function rotated(): Promise<boolean> {
    const until = performance.now() + ROTATION_MS
    for (;;) {
      const { code, report } = await run(['rotate-key'])
      if (code === 0) return true
      if (performance.now() > until) journal.violation(`rotate-key: ${JSON.stringify(report)}`)
      if (performance.now() > until) return false
      await pause(ROTATION_AGAIN_MS)
    }
  }

  async function run(args: string[], at = folder) {
    journal.counts.commands += 1
    journal.act(`command: ${args[0]}`)
    const env = Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== ''))
    try {
      return await command(at, args, env)
    } catch (error) {
      return { code: null, stderr: String(error), report: {} }
    }
  }

  /** A command that must exit with 0. Returns its report. */
  async function succeed(args: string[], at = folder): Promise<Record<string, unknown>> {
    return expectSuccess(args[0] as string, await run(args, at))
  }

  function expectSuccess(name: string, { code, report, stderr }: Awaited<ReturnType<typeof run>>) {
    if (code !== 0) journal.violation(`${name} exited with ${code}: ${JSON.stringify(report)} ${stderr}`)
    return report
  }
}

/** A real Prometheus scrapes real servers, while everything happens that an alert is for. */
import { randomBytes } from 'node:crypto'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { expect, it, onTestFinished } from 'vitest'
import { DAY, newDeviceId, temporaryFolder } from '../support/app.ts'
import { type Disk, filesBelow, smallDisk } from '../support/disk.ts'
import { metricsUrlIn } from '../support/metrics.ts'
import { alertNames, dashboardQueries, prometheus } from '../support/monitoring.ts'
import { describePostgres, emptySchema } from '../support/postgres.ts'
import { type ServerProcess, serverProcess, signedIn } from '../support/process.ts'
import { describeWithProgram } from '../support/programs.ts'
import { head } from '../support/wire.ts'

const MiB = 1024 * 1024
const WITHIN = { timeout: 20_000, interval: 200 }
/** The memory of one user is enough for 96 uploads. */
const TOO_MANY_UPLOADS = 100
const SETTINGS = { METRICS: 'on', METRICS_PORT: '0', RATE_LIMIT: 'off', LOG_LEVEL: 'info' }
const ON_SMALL_DISK = { ...SETTINGS, SCRUB_DAYS: '1', QUOTA_BYTES: String(100 * MiB) }

describePostgres('with PostgreSQL', () => {
  describeWithProgram('prometheus', 'prometheus')('a real Prometheus', () => {
    it('gets data for the whole dashboard, and every alert fires when its cause happens', async ({ skip }) => {
      const disk = smallDisk(skip)
      await oldVault(disk)
      const home = await temporaryFolder()
      const MASTER_KEY = randomBytes(32).toString('base64')
      const one = serverProcess(disk.path, ON_SMALL_DISK)
      const other = serverProcess(home, { ...SETTINGS, DATABASE_URL: await emptySchema(), MASTER_KEY })
      const { ask, firing } = await prometheus({
        minikeepsafe: await target(one),
        'minikeepsafe-2': await target(other),
      })
      const seen = new Set<string>()
      const fires = async (...alerts: string[]) => {
        const missing = async () => {
          const now = await firing()
          return alerts.filter((alert) => !now.includes(alert))
        }
        await expect.poll(missing, WITHIN).toEqual([])
        for (const alert of alerts) seen.add(alert)
      }

      await fires('MinikeepsafeBackupOld', 'MinikeepsafeBackupMissing', 'MinikeepsafeScrubberLate')
      expect(new Set(await firing())).toEqual(seen)

      const headers = await signedIn(one)
      const traffic = trafficOn(one, headers)
      await expect.poll(() => ask('minikeepsafe_http_requests_total{status="200"} > 20'), WITHIN).not.toEqual([])

      const waiting = await unfinishedUploads(one, headers)
      await fires('MinikeepsafeTransfersWait')
      for (const socket of waiting) socket.destroy()

      await spoilPhoto(disk)
      await fires('MinikeepsafeDamage', 'MinikeepsafeErrors')

      for (let n = 0; n < 40; n += 1) await one.post('/v1/sessions', { deviceId: newDeviceId(), pin: '1234' })
      await fires('MinikeepsafeGuessing')

      await put(one, headers, 101 * MiB)
      await fires('MinikeepsafeQuotaFull')

      disk.fill(MiB)
      await put(one, headers, 6 * MiB)
      await fires('MinikeepsafeDiskFull', 'MinikeepsafeDiskAlmostFull')

      await rm(join(home, 'uploads'), { recursive: true })
      expect((await other.request('/health/ready')).status).toBe(503)
      await fires('MinikeepsafeBackgroundFailure')

      const halts = halting(other)
      await fires('MinikeepsafeEventLoopSlow')
      await halts.stop()

      for (const query of dashboardQueries()) {
        await expect.poll(() => ask(query), { message: query, ...WITHIN }).not.toEqual([])
      }
      await traffic.stop()

      await other.stop('SIGKILL')
      await fires('MinikeepsafeDown')
      expect([...seen].sort()).toEqual(alertNames().sort())
    }, 120_000)
  })
})

async function target(server: ServerProcess): Promise<string> {
  await server.url
  return new URL(metricsUrlIn(server.output())).host
}

/** A vault with one file that was last read back days ago, and whose last backup is as old. */
async function oldVault(disk: Disk): Promise<void> {
  const server = serverProcess(disk.path, ON_SMALL_DISK)
  const headers = await signedIn(server)
  await server.request('/v1/files/old', { method: 'PUT', headers, body: 'sand' })
  await server.stop('SIGTERM')
  const db = new Database(join(disk.path, 'data', 'minikeepsafe.db'))
  const at = Date.now() - 3 * DAY
  db.prepare('INSERT INTO last_backup (one, at) VALUES (1, ?)').run(at)
  db.prepare('UPDATE files SET verified_at = ?').run(at)
  db.close()
}

/** Uploads a photo, then downloads it again and again, until it is stopped. Also asks for what is not there. */
function trafficOn(server: ServerProcess, headers: { authorization: string }) {
  const body = randomBytes(100_000)
  return repeated(async () => {
    await server.request('/v1/files/photo', { method: 'PUT', headers: { ...headers, 'if-none-match': '*' }, body })
    await server.request('/v1/files/photo', { headers })
    await server.request('/v1/files/absent', { headers })
    await pause(50)
  })
}

/** Stops the process for moments, as a machine that has too much to do. */
function halting({ pid }: ServerProcess) {
  return repeated(async () => {
    process.kill(pid, 'SIGSTOP')
    await pause(400)
    process.kill(pid, 'SIGCONT')
    await pause(50)
  })
}

function repeated(work: () => Promise<void>) {
  let goesOn = true
  const running = (async () => {
    while (goesOn) await work()
  })()
  const stop = () => {
    goesOn = false
    return running
  }
  onTestFinished(stop)
  return { stop }
}

/** Uploads that announce a MiB and send nothing of it. */
async function unfinishedUploads(server: ServerProcess, headers: { authorization: string }) {
  const { hostname, port } = new URL(await server.url)
  return Array.from({ length: TOO_MANY_UPLOADS }, (_, n) => {
    const socket = connect(Number(port), hostname)
    socket.on('error', () => {})
    socket.write(head(`PUT /v1/files/film-${n}`, { ...headers, 'content-length': String(MiB) }))
    onTestFinished(() => void socket.destroy())
    return socket
  })
}

async function put(server: ServerProcess, headers: { authorization: string }, bytes: number) {
  const body = Buffer.alloc(bytes)
  // The server may refuse it before it has read the body.
  return server.request('/v1/files/large', { method: 'PUT', headers, body }).catch(() => null)
}

/** Damages the blob of the photo: it is the only large one. */
async function spoilPhoto(disk: Disk) {
  for (const path of filesBelow(join(disk.path, 'uploads'))) {
    const bytes = await readFile(path)
    if (bytes.length > 100_000) await writeFile(path, bytes.fill(0, 60, 1000))
  }
}

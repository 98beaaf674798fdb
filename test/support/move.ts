/** A vault with data of every kind, and a target to move it to. The settings are in files, as an operator writes them. */
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { migrateData } from '../../src/commands/migrate-data.ts'
import { readConfig } from '../../src/config/config.ts'
import type { MoveReport } from '../../src/vault/operator/move.ts'
import { type Member, member, newDeviceId, paired, pinFrom, type TestApp, temporaryFolder, testApp } from './app.ts'
import { operator } from './operator.ts'
import { emptySchema } from './postgres.ts'
import { newBucket, s3Environment } from './s3.ts'

type Settings = Record<string, string>

export interface MovePlace {
  /** The folder of the settings and of the folders that they name. */
  home: string
  from: Settings
  to: Settings
  /** A server with the settings of the source. */
  source(more?: Settings): Promise<TestApp>
  target(): Promise<TestApp>
}

/** By default from SQLite and a folder to PostgreSQL and S3. The first server of the source creates the key. */
export async function movePlace({ from = {}, to }: { from?: Settings; to?: Settings } = {}): Promise<MovePlace> {
  const home = await temporaryFolder()
  const folders = { DATA_DIR: join(home, 'data'), UPLOADS_DIR: join(home, 'uploads') }
  const settings = {
    from: { ...folders, ...from },
    to: {
      DATABASE_URL: await emptySchema(),
      MASTER_KEY_FILE: join(home, 'data', 'master.key'),
      ...(to ?? s3Environment(await newBucket())),
    },
  }
  for (const side of ['from', 'to'] as const) {
    const lines = Object.entries(settings[side]).map(([name, value]) => `${name}="${value}"\n`)
    await writeFile(join(home, `${side}.env`), lines.join(''))
  }
  return {
    home,
    ...settings,
    source: (more = {}) => testApp({ ...settings.from, ...more }),
    target: () => testApp(settings.to),
  }
}

export const ARGS = ['migrate-data', '--from', 'from.env', '--to', 'to.env']

/** Runs the command in this process. */
export async function migrate({ home }: Pick<MovePlace, 'home'>, options: Record<string, unknown> = {}) {
  const files = { from: join(home, 'from.env'), to: join(home, 'to.env') }
  const call = { operands: [], progress: () => () => {}, confirm: async () => null }
  const outcome = await migrateData.run({ ...call, config: readConfig({}), options: { ...files, ...options } })
  return { ...outcome, report: outcome.report as MoveReport & { ok: boolean } }
}

/** Everything that a user can see in a vault, except the bytes. */
export async function seenBy({ request }: Pick<Member, 'request'>) {
  const paths = ['/v1/me', '/v1/files', '/v1/trash', '/v1/sessions', '/v1/activity']
  return Promise.all(paths.map(async (path) => (await request(path)).body))
}

export const FILM = randomBytes(9 * 1024 * 1024)
export const PICTURE = randomBytes(256 * 1024)
export const UNICODE_NAME = 'fête au 東京 🏖.jpg'
/** The key of an address whose guesses are counted. */
export const PAUSED = randomBytes(32)
const RULE = { every: 5, firstPauseMs: 1e15 }

/** Creates users with files of all kinds, devices, a trash, paused PINs, a PIN of the operator, and an unfinished removal. */
export async function fill(app: TestApp) {
  const [ada, ben, cleo] = [await member(app), await member(app), await member(app)]
  await ada.put('beach.jpg', 'sand and sea', { 'content-type': 'image/jpeg' })
  await ada.put('empty', '')
  await ada.put('film', FILM)
  await ada.put(UNICODE_NAME, 'lanterns')
  await ada.put('gone.jpg', 'thrown away')
  for (const name of ['beach.jpg', 'gone.jpg']) {
    const headers = { 'content-type': 'image/jpeg' }
    await ada.request(`/v1/files/${name}/thumbnail`, { method: 'PUT', headers, body: PICTURE })
  }
  await ada.request('/v1/files/gone.jpg', { method: 'DELETE' })
  await ben.put('beach.jpg', 'stones')
  await cleo.put('left.jpg', 'to be removed')
  const second = await paired(app, ada)
  const third = await paired(app, ada)
  const named = newDeviceId()
  await app.post('/v1/sessions', { deviceId: named, pin: await pinFrom(ada, named), deviceName: 'Ada’s 📱' })
  await third.request('/v1/sessions/current', { method: 'DELETE' })
  await app.post('/v1/sessions', { deviceId: third.deviceId, pin: '0000' })
  const fixed = { kind: 'pin' as const, address: PAUSED, maxAttempts: 5, rule: RULE }
  const guess = { deviceId: 'guessing', ...fixed }
  for (let n = 0; n < RULE.every * 5; n += 1) await app.ports.pinLedger.count({ ...guess, at: app.clock() + n * 1e17 })
  const lost = newDeviceId()
  const { vault } = await operator(app)
  const handedOut = await vault.handOutPin(ben.userId, lost)
  // As if the process was killed in the middle of the removal.
  await app.ports.users.remove(cleo.userId)
  await app.settled()
  return { ada, ben, cleo, second, handedOut: { deviceId: lost, pin: handedOut?.pin as string } }
}

/** Starts on the data of the former schema: each file had one blob, which also identified its version. */
import { createHash } from 'node:crypto'
import { chmod, cp, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { isSound } from '../../src/vault/operator/verify.ts'
import { blobsOnDisk, DAY, memberWith, temporaryFolder, testApp } from '../support/app.ts'
import { operator } from '../support/operator.ts'
import { describePostgres, emptySchema, run } from '../support/postgres.ts'

const FIXTURES = join(import.meta.dirname, '..', 'fixtures')
const sha256 = (bytes: string | Buffer) => createHash('sha256').update(bytes).digest('hex')
const CONTENTS = { 'empty.txt': '', 'beach.jpg': 'sand', 'film.mp4': 'x'.repeat(70_000), 'two.jpg': 'sand' }

/** A folder with the blobs of a vault of the former schema, and its master key. */
async function formerVault(name: string) {
  const home = await temporaryFolder()
  await cp(join(FIXTURES, name, 'blobs'), join(home, 'uploads'), { recursive: true })
  const key = await readFile(join(FIXTURES, 'sqlite-9', 'master.key'), 'utf8')
  return { home, settings: { MASTER_KEY: key.trim(), UPLOADS_DIR: join(home, 'uploads') } }
}

/** Opens everything that the vault had, and changes some of it. */
async function expectWhole(app: Awaited<ReturnType<typeof testApp>>, token: string) {
  // The fixtures are a few days younger than the clock of tests.
  app.clock.turn(10 * DAY)
  const ada = memberWith(app, { token, userId: '', sessionId: '', deviceId: '', email: '' })
  for (const [name, content] of Object.entries(CONTENTS)) {
    const answer = await ada.get(name)
    expect([answer.status, sha256(answer.bytes)]).toEqual([200, sha256(content)])
  }
  const { body } = await ada.request('/v1/trash')
  const { files } = body as { files: { id: string; name: string }[] }
  expect(files.map(({ name }) => name).sort()).toEqual(['gone.bin', 'two.jpg'])
  const gone = files.find(({ name }) => name === 'gone.bin')
  expect((await ada.request(`/v1/trash/${gone?.id}/restore`, { method: 'POST' })).status).toBe(200)
  expect((await ada.get('gone.bin')).body).toBe('y'.repeat(200_000))
  expect((await ada.replace('beach.jpg', 'other sand')).status).toBe(200)
  expect((await ada.request('/v1/trash', { method: 'DELETE' })).status).toBe(204)
  app.sweep()
  await app.settled()
  // Ada has four files and the restored one, Ben two. Nothing is left of replaced and deleted versions.
  expect(await blobsOnDisk(app)).toHaveLength(7)
  const { vault } = await operator(app)
  expect(await vault.verify(() => {})).toSatisfy(isSound)
}

describe('SQLite', () => {
  it('takes over schema 9', async () => {
    const { home, settings } = await formerVault('sqlite-9')
    const data = join(home, 'data')
    await cp(join(FIXTURES, 'sqlite-9', 'minikeepsafe.db'), join(data, 'minikeepsafe.db'))
    await chmod(data, 0o700)
    await expectWhole(await testApp(settings, home), 'mks_CyVdLHAW93UqO8Wp3PdPncoB_q9rH9II_gvxytDFO_Y')
  })
})

describePostgres('PostgreSQL', () => {
  it('takes over schema 8', async () => {
    const { home, settings } = await formerVault('postgres-8')
    const url = await emptySchema()
    await run(url, await readFile(join(FIXTURES, 'postgres-8', 'dump.sql'), 'utf8'))
    const app = await testApp({ ...settings, DATABASE_URL: url }, home)
    await expectWhole(app, 'mks_Dg4xpQjSMU-3wpgfG4WpvTo1Hprvlf0I4Jfh_lmtiPA')
  })
})

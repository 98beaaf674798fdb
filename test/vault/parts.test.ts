/** Everything that is done with a file, done with a file of several parts. */
import { createHash, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { backupSource, backupTarget } from '../../src/compose/backups.ts'
import { backUp, restore } from '../../src/vault/operator/backup.ts'
import { isSound } from '../../src/vault/operator/verify.ts'
import { blobsOnDisk, member, memberWith, temporaryFolder, testApp } from '../support/app.ts'
import { spoil } from '../support/blobs.ts'
import { migrate, movePlace } from '../support/move.ts'
import { databaseOf, operator } from '../support/operator.ts'
import { putInParts } from '../support/parts.ts'
import { describePostgres } from '../support/postgres.ts'
import { unzip } from '../support/unzip.ts'

const CONTENT = randomBytes(300_000)
const CUTS = [1, 65_536, 65_537, 200_000]

async function withParts() {
  const app = await testApp()
  const ada = await member(app)
  const blobs = await putInParts(app, ada, 'film.mp4', CONTENT, CUTS)
  return { app, ada, blobs }
}

describe('a file of several parts', () => {
  it('is downloaded whole and by ranges', async () => {
    const { ada } = await withParts()
    const whole = await ada.get('film.mp4')
    expect([whole.status, whole.headers['content-length']]).toEqual([200, String(CONTENT.length)])
    expect(whole.headers.etag).toBe(`"${createHash('sha256').update(CONTENT).digest('hex')}"`)
    expect(whole.bytes.equals(CONTENT)).toBe(true)
    for (const [from, to] of [
      [0, 0],
      [0, 1],
      [65_535, 65_537],
      [1, 299_999],
      [199_999, 200_000],
    ] as const) {
      const answer = await ada.get('film.mp4', { range: `bytes=${from}-${to}` })
      expect(answer.status).toBe(206)
      expect(answer.bytes.equals(CONTENT.subarray(from, to + 1))).toBe(true)
    }
  })

  it('is exported', async () => {
    const { ada } = await withParts()
    const { bytes } = await ada.request('/v1/me/export')
    expect((await unzip(bytes)).find(({ path }) => path.endsWith('film.mp4'))?.bytes.equals(CONTENT)).toBe(true)
  })

  it('goes to the trash, comes back, and is gone with all its blobs', async () => {
    const { app, ada, blobs } = await withParts()
    await ada.put('film.mp4', 'other')
    const { body } = await ada.request('/v1/trash')
    const { files } = body as { files: { id: string }[] }
    await ada.request(`/v1/trash/${files[0]?.id}/restore?onConflict=rename`, { method: 'POST' })
    expect((await ada.get('film (1).mp4')).bytes.equals(CONTENT)).toBe(true)
    expect(await blobsOnDisk(app)).toHaveLength(blobs.length + 1)
    await ada.replace('film (1).mp4', 'again')
    await app.settled()
    expect(await blobsOnDisk(app)).toHaveLength(2)
    expect((await app.ports.users.usage(ada.userId)).bytes).toBe(10)
    expect(await app.ports.ledger.garbage(10)).toEqual([])
  })

  it('is gone with its user', async () => {
    const { app, ada } = await withParts()
    await ada.request('/v1/me', { method: 'DELETE' })
    await app.settled()
    expect(await blobsOnDisk(app)).toEqual([])
  })

  it('is verified, and each part that is damaged or missing is named', async () => {
    const { app, blobs } = await withParts()
    const { vault } = await operator(app)
    expect(await vault.verify(() => {})).toSatisfy(isSound)
    const third = blobs[2] as string
    await spoil(join(app.config.UPLOADS_DIR, third), (bytes) => bytes.fill(1, 45, 46))
    expect((await vault.verify(() => {})).damaged).toMatchObject([{ blob: third, why: 'its blob does not open' }])
    await app.ports.blobs.delete([third])
    expect((await vault.verify(() => {})).missing).toMatchObject([{ blob: third }])
  })

  it('is reported where the row of a part is gone', async () => {
    const { app, blobs } = await withParts()
    databaseOf(app).prepare('DELETE FROM parts WHERE blob = ?').run(blobs[1])
    const { vault } = await operator(app)
    expect((await vault.verify(() => {})).damaged).toMatchObject([{ why: 'its parts have a gap at byte 1' }])
  })

  it('breaks off where a part is missing or damaged', async () => {
    const { app, ada, blobs } = await withParts()
    await app.ports.blobs.delete([blobs[3] as string])
    expect(await ada.get('film.mp4').catch(() => 'broken off')).toBe('broken off')
    expect((await ada.get('film.mp4', { range: 'bytes=0-65536' })).status).toBe(206)
    expect(await ada.get('film.mp4', { range: 'bytes=70000-70001' })).toBeProblem(500, 'internal-error')
    expect(app.log.join('\n')).toContain(`its blob ${blobs[3]} is missing`)
  })

  it('is in a backup, and comes back from it', async () => {
    const { app, ada, blobs } = await withParts()
    const folder = join(await temporaryFolder(), 'backup')
    const target = await backupTarget(app.config, folder)
    const { ports } = await operator(app)
    const report = await backUp(ports, target, () => () => {})
    await target.close()
    expect(report).toMatchObject({ files: 1, blobs: { copied: blobs.length, kept: 0 }, lacking: [] })
    const home = await temporaryFolder()
    const key = app.ports.masterKeys.current.toString('base64')
    const config = { ...app.config, DATA_DIR: join(home, 'data'), UPLOADS_DIR: join(home, 'uploads'), MASTER_KEY: key }
    const source = await backupSource(config, folder)
    expect(await restore(source, false, () => () => {})).toMatchObject({ restored: true, files: 1, lacking: [] })
    await source.close()
    const again = memberWith(await testApp({ MASTER_KEY: key }, home), ada)
    expect((await again.get('film.mp4')).bytes.equals(CONTENT)).toBe(true)
  })
})

describePostgres('a file of several parts, moved to PostgreSQL', () => {
  it('is there whole, and is moved again where one of its copies was spoilt', async () => {
    const place = await movePlace({ to: { UPLOADS_DIR: await temporaryFolder() } })
    const source = await place.source()
    const ada = await member(source)
    const blobs = await putInParts(source, ada, 'film.mp4', CONTENT, CUTS)
    expect(await migrate(place)).toMatchObject({ report: { moved: false, blobs: { copied: blobs.length } } })
    await spoil(join(place.to.UPLOADS_DIR as string, blobs[1] as string), (bytes) => bytes.subarray(0, -1))
    await source.close()
    expect(await migrate(place)).toMatchObject({ ok: true, report: { moved: true, lost: [] } })
    expect((await memberWith(await place.target(), ada).get('film.mp4')).bytes.equals(CONTENT)).toBe(true)
  })

  it('is reported as lost where the row of a part is gone', async () => {
    const place = await movePlace({ to: { UPLOADS_DIR: await temporaryFolder() } })
    const source = await place.source()
    const blobs = await putInParts(source, await member(source), 'film.mp4', CONTENT, CUTS)
    databaseOf(source).prepare('DELETE FROM parts WHERE blob = ?').run(blobs[1])
    await source.close()
    expect(await migrate(place)).toMatchObject({
      ok: false,
      report: { moved: false, lost: [{ why: 'its parts have a gap at byte 1' }] },
    })
  })
})

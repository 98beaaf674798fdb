/** The space of removed users goes back to the disk, in short steps, while the server runs. */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, it, onTestFinished } from 'vitest'
import { type Member, member, type TestApp, testApp } from '../support/app.ts'
import { databaseOf } from '../support/operator.ts'

const MiB = 1024 * 1024
const sizeOf = (app: TestApp, suffix = '') => statSync(join(app.config.DATA_DIR, `minikeepsafe.db${suffix}`)).size

/** A database of more than 20 MiB, most of them rows that are deleted again. The rows of the member come after them. */
async function grown(app: TestApp): Promise<{ ada: Member; db: Database.Database }> {
  const db = databaseOf(app)
  db.exec(`WITH RECURSIVE n (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM n WHERE n < 5000)
    INSERT INTO key_slots SELECT 'gone-' || n, 'server', 'key', randomblob(4000) FROM n`)
  const ada = await member(app)
  for (let n = 0; n < 30; n += 1) await ada.put(`photo-${n}`, `sand ${n}`)
  db.exec("DELETE FROM key_slots WHERE user_id LIKE 'gone-%'")
  db.pragma('wal_checkpoint(TRUNCATE)')
  return { ada, db }
}

it('shrinks a large database by the sweeper, while its users read and write', async () => {
  const app = await testApp()
  const { ada, db } = await grown(app)
  expect(sizeOf(app)).toBeGreaterThan(20 * MiB)
  app.sweep()
  for (let n = 0; n < 30; n += 1) {
    expect((await ada.put(`film-${n}`, `sea ${n}`)).status).toBe(201)
    expect((await ada.get(`photo-${n}`)).body).toBe(`sand ${n}`)
  }
  await app.settled()
  expect(sizeOf(app)).toBeLessThan(3 * MiB)
  expect(sizeOf(app, '-wal')).toBeLessThan(2 * MiB)
  for (let n = 0; n < 30; n += 1) expect((await ada.get(`film-${n}`)).body).toBe(`sea ${n}`)
  expect(db.pragma('integrity_check', { simple: true })).toBe('ok')
})

it('shrinks it once a backup or another reader is done', async () => {
  const app = await testApp()
  const { ada } = await grown(app)
  const reader = new Database(join(app.config.DATA_DIR, 'minikeepsafe.db'), { readonly: true })
  onTestFinished(() => void reader.close())
  reader.exec('BEGIN')
  expect(reader.prepare('SELECT count(*) FROM users').pluck().get()).toBe(1)
  app.sweep()
  await app.settled()
  expect(sizeOf(app)).toBeGreaterThan(20 * MiB)
  expect((await ada.put('film', 'sea')).status).toBe(201)
  reader.exec('COMMIT')
  app.sweep()
  await app.settled()
  expect((await ada.get('film')).body).toBe('sea')
  expect(sizeOf(app)).toBeLessThan(3 * MiB)
})

it('leaves a database of an earlier version as it is while it is large, and converts a small one when a user is removed', async () => {
  const first = await testApp()
  await first.close()
  const old = new Database(join(first.config.DATA_DIR, 'minikeepsafe.db'))
  old.exec('PRAGMA journal_mode = DELETE; PRAGMA auto_vacuum = NONE; VACUUM')
  old.close()
  const app = await testApp({}, join(first.config.DATA_DIR, '..'))
  const { ada, db } = await grown(app)
  app.sweep()
  await app.settled()
  expect(sizeOf(app)).toBeGreaterThan(20 * MiB)

  db.exec('VACUUM')
  expect(db.pragma('auto_vacuum', { simple: true })).toBe(0)
  expect((await ada.request('/v1/me', { method: 'DELETE' })).status).toBe(204)
  await app.settled()
  // A connection sees the setting as of its opening.
  expect(databaseOf(app).pragma('auto_vacuum', { simple: true })).toBe(2)
})

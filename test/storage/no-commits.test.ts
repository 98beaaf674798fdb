/** A SQLite database that answers reads and takes no commits. */
import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { expect, it, onTestFinished } from 'vitest'
import { member, newDeviceId, type TestApp, testApp } from '../support/app.ts'

const databaseOf = ({ config }: TestApp) => join(config.DATA_DIR, 'minikeepsafe.db')

it('is not ready while another process holds the lock for writing, and refuses what would write', async () => {
  const app = await testApp()
  const ada = await member(app)
  await ada.put('photo', 'sand')
  expect((await app.request('/health/ready')).status).toBe(200)
  const other = new Database(databaseOf(app))
  onTestFinished(() => void other.close())
  other.exec('BEGIN IMMEDIATE')
  const detail = async () => (await app.request('/health/ready')).body
  await expect.poll(detail).toMatchObject({ detail: 'Not working: database.' })
  const deviceId = newDeviceId()
  const { pin } = (await app.post('/v1/users', { name: 'Eve', email: 'eve@example.org', deviceId })).body as {
    pin: string
  }
  expect(await ada.put('film', 'bytes')).toBeProblem(503, 'not-ready')
  expect(await app.post('/v1/sessions', { deviceId, pin })).toBeProblem(503, 'not-ready')
  expect((await ada.get('photo')).body).toBe('sand')

  other.exec('ROLLBACK')
  await expect.poll(detail).toEqual({ status: 'ok' })
  expect((await ada.put('film', 'bytes')).status).toBe(201)
})

it('is asked by a commit that leaves no row and is on the disk', async () => {
  const app = await testApp()
  const log = `${databaseOf(app)}-wal`
  await app.settled()
  const before = [statSync(log).size, readFileSync(log)] as const
  await app.request('/health/ready')
  expect([statSync(log).size, readFileSync(log)]).not.toEqual(before)
  const db = new Database(databaseOf(app), { readonly: true })
  expect(db.prepare('SELECT count(*) FROM holds').pluck().get()).toBe(0)
  db.close()
})

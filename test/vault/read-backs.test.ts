import { randomBytes } from 'node:crypto'
import { expect, it } from 'vitest'
import { openBackgroundWork } from '../../src/vault/background.ts'
import { openKeyring } from '../../src/vault/crypto/keyring.ts'
import { openReadBacks } from '../../src/vault/files/read-backs.ts'
import { standing } from '../contracts/rows.ts'
import { type Member, MINUTE, member, SECOND, type TestApp, testApp } from '../support/app.ts'
import { operator } from '../support/operator.ts'
import { head, wire } from '../support/wire.ts'

const MiB = 1024 * 1024

async function vaultWith(contents: Record<string, Buffer | string>) {
  const app = await testApp()
  const ada = await member(app)
  for (const [name, bytes] of Object.entries(contents)) await ada.put(name, bytes)
  app.clock.turn(SECOND)
  return { app, ada }
}

async function recorded(app: TestApp, ada: Member, name: string) {
  await app.settled()
  await app.vault.recordReadBacks()
  return (await standing(app.ports.files, ada.userId, name))?.verifiedAt
}

it('records downloads that read every byte, and no others', async () => {
  const { app, ada } = await vaultWith({
    small: 'bytes',
    large: randomBytes(3 * MiB),
    empty: '',
    part: 'bytes',
    cut: randomBytes(16 * MiB),
  })
  for (const name of ['small', 'large', 'empty']) expect((await ada.get(name)).status).toBe(200)
  expect((await ada.get('part', { range: 'bytes=1-' })).status).toBe(206)
  expect((await ada.request('/v1/files/part', { method: 'HEAD' })).status).toBe(200)
  const line = wire(app.url)
  line.socket.write(head('GET /v1/files/cut', { authorization: `Bearer ${ada.token}` }))
  await line.until('\r\n\r\n')
  line.socket.destroy()
  const names = ['small', 'large', 'empty', 'part', 'cut']
  const times = await Promise.all(names.map((name) => recorded(app, ada, name)))
  expect(times).toEqual([app.clock(), app.clock(), null, null, null])
  expect((await ada.get('part', { range: 'bytes=0-' })).status).toBe(206)
  expect(await recorded(app, ada, 'part')).toBe(app.clock())
})

it('records each file of an export', async () => {
  const { app, ada } = await vaultWith({ a: 'bytes', b: randomBytes(MiB) })
  expect((await ada.request('/v1/me/export')).status).toBe(200)
  expect(await Promise.all(['a', 'b'].map((name) => recorded(app, ada, name)))).toEqual(Array(2).fill(app.clock()))
})

it('leaves the dates, the tag and the number of the file as they are', async () => {
  const { app, ada } = await vaultWith({ a: 'bytes' })
  const before = await ada.get('a')
  const seen = await standing(app.ports.files, ada.userId, 'a')
  await recorded(app, ada, 'a')
  const after = await ada.get('a')
  for (const field of ['etag', 'last-modified']) expect(after.headers[field]).toBe(before.headers[field])
  expect(await standing(app.ports.files, ada.userId, 'a')).toEqual({ ...seen, verifiedAt: app.clock() })
  const changes = await app.ports.changes.page(ada.userId, { after: 0, goneAfter: 0, limit: 10 })
  expect(changes?.changes).toHaveLength(1)
})

it('does not record a version that was replaced after it was read', async () => {
  const { app, ada } = await vaultWith({ a: 'bytes' })
  await ada.get('a')
  await ada.put('a', 'other bytes')
  expect(await recorded(app, ada, 'a')).toBeNull()
})

it('does not record again what was read within the last minute', async () => {
  const { app, ada } = await vaultWith({ a: 'bytes' })
  await ada.get('a')
  const first = await recorded(app, ada, 'a')
  app.clock.turn(MINUTE - 1)
  await ada.get('a')
  expect(await recorded(app, ada, 'a')).toBe(first)
  app.clock.turn(1)
  await ada.get('a')
  expect(await recorded(app, ada, 'a')).toBe(Number(first) + MINUTE)
  // The clock was set back.
  app.clock.turn(-10 * MINUTE)
  await ada.get('a')
  expect(await recorded(app, ada, 'a')).toBe(app.clock())
})

it('records what waits when the server closes', async () => {
  const { app, ada } = await vaultWith({ a: 'bytes' })
  await ada.get('a')
  await app.close()
  const { ports } = await operator(app)
  expect((await standing(ports.files, ada.userId, 'a'))?.verifiedAt).toBe(app.clock())
})

it('loses records that the database does not take, logs an error of it, and serves on', async () => {
  const { app, ada } = await vaultWith({ a: 'bytes' })
  const { recordReadBacks } = app.ports.files
  const failing = (code: string) => async () => {
    throw Object.assign(new Error(`no: ${code}`), { code })
  }
  for (const code of ['ENOSPC', 'ECONNABORTED']) {
    app.ports.files.recordReadBacks = failing(code)
    expect((await ada.get('a')).body).toBe('bytes')
    expect(await recorded(app, ada, 'a')).toBeNull()
  }
  app.ports.files.recordReadBacks = recordReadBacks
  expect(await recorded(app, ada, 'a')).toBeNull()
  const logged = app.log.filter((line) => line.includes('recording read-backs failed'))
  expect(logged).toHaveLength(1)
  expect(logged[0]).toContain('no: ECONNABORTED')
})

it('holds a bounded number in memory', async () => {
  const { app, ada } = await vaultWith({ a: 'bytes' })
  const { file } = (await app.ports.files.page('', 1))[0] as { file: { id: string; version: string } }
  const batches: number[] = []
  const { recordReadBacks } = app.ports.files
  app.ports.files.recordReadBacks = async (attempts) => {
    batches.push(attempts.length)
    return recordReadBacks(attempts)
  }
  const reader = { next: async () => [Buffer.from('x')], close: async () => {} }
  const { ports, vault } = app
  const work = openBackgroundWork({ ports })
  const readBacks = openReadBacks({ ports, rules: vault.rules, keys: openKeyring({ ports }), background: work.run })
  for (let n = 0; n < 1500; n += 1) {
    const one = { ...file, id: `id-${n}`, sizeBytes: 1, verifiedAt: null }
    await readBacks.watch(one, { start: 0, end: 0 }, reader).next()
  }
  await work.settled()
  // One by one they would keep the database busy.
  expect(batches.slice(0, 20)).toEqual(Array(20).fill(50))
  expect(Math.max(...batches)).toBeLessThanOrEqual(50)
  expect(batches.reduce((sum, n) => sum + n, 0)).toBeGreaterThanOrEqual(1000)
  await ada.get('a')
  expect(await recorded(app, ada, 'a')).toBe(app.clock())
})

it('is done by the operator’s verify too, but not on a read-only vault', async () => {
  const { app, ada } = await vaultWith({ a: 'bytes', empty: '' })
  const readOnly = await operator(app, { READ_ONLY: 'on' })
  await readOnly.vault.verify(() => {})
  expect(await recorded(app, ada, 'a')).toBeNull()
  const { vault } = await operator(app)
  await vault.verify(() => {})
  expect(await Promise.all(['a', 'empty'].map((name) => recorded(app, ada, name)))).toEqual(Array(2).fill(app.clock()))
})

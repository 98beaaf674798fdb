import { readFileSync } from 'node:fs'
import { readdir, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import type { AuditEvent } from '../../src/ports/ports.ts'
import { type Member, memberWith, newDeviceId, otherThan, paired, type TestApp, testApp } from '../support/app.ts'

/** The compiler checks that this has every event. */
const EVENTS: Record<AuditEvent, true> = {
  'account-created': true,
  'account-deleted': true,
  'new-device': true,
  'sign-in': true,
  'wrong-pin': true,
  locked: true,
  'pin-issued': true,
  'session-revoked': true,
  'file-deleted': true,
  'file-purged': true,
  export: true,
  'damaged-read': true,
  'master-key-rotated': true,
  'vault-moved': true,
  'vault-restored': true,
}

type Line = Record<string, unknown>

const auditOf = ({ log }: Pick<TestApp, 'log'>) =>
  log.map((line) => JSON.parse(line) as Line).filter(({ audit }) => audit !== undefined)

/** Sends the PINs of the log back. */
function lastPin({ log }: TestApp): string {
  return log.map((line) => JSON.parse(line).pin).findLast((pin) => pin !== undefined)
}

/** Registers and signs in at a server that writes PINs to its log. */
async function consoleMember(app: TestApp): Promise<Member> {
  const [deviceId, email] = [newDeviceId(), 'secret.address@example.org']
  await app.post('/v1/users', { name: 'Secret Person', email, deviceId })
  await app.settled()
  const { body } = await app.post('/v1/sessions', { deviceId, pin: lastPin(app) })
  return memberWith(app, { ...(body as Pick<Member, 'userId' | 'sessionId' | 'token'>), deviceId, email })
}

it('every event is in docs/operating.md, and no other', () => {
  const page = readFileSync(join(import.meta.dirname, '..', '..', 'docs', 'operating.md'), 'utf8')
  const table = page.slice(page.indexOf('### Audit'), page.indexOf('\n### ', page.indexOf('### Audit') + 1))
  const named = [...table.matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, name]) => name)
  expect(named.sort()).toEqual(Object.keys(EVENTS).sort())
})

it('each event of an account is a line of its own, with ids and without secrets', async () => {
  const app = await testApp({ LOG_LEVEL: 'info', PIN_DELIVERY: 'console' })
  const ada = await consoleMember(app)
  const json = { 'content-type': 'application/json' }
  const other = await paired(app, ada)
  await ada.request(`/v1/sessions/${other.sessionId}`, { method: 'DELETE' })
  const again = await paired(app, ada, ada.deviceId)
  await again.put('secret-name', 'bytes')
  await again.request('/v1/files/secret-name', { method: 'DELETE' })
  await again.request('/v1/trash', { method: 'DELETE' })
  await again.request('/v1/me/export')
  await again.put('secret-name', 'bytes')
  for (const blob of await readdir(app.config.UPLOADS_DIR, { recursive: true, withFileTypes: true })) {
    if (blob.isFile()) await truncate(join(blob.parentPath, blob.name), 10)
  }
  await again.get('secret-name')
  await app.post('/v1/pins', { email: ada.email, deviceId: ada.deviceId })
  await app.settled()
  const wrong = otherThan(lastPin(app))
  for (let guess = 0; guess < 5; guess += 1) await app.post('/v1/sessions', { deviceId: ada.deviceId, pin: wrong })
  await app.settled()
  await app.request('/v1/me', { method: 'DELETE', headers: { ...json, authorization: `Bearer ${again.token}` } })
  await app.settled()

  const { userId: user } = ada
  const [first, second, third] = [ada.sessionId, other.sessionId, again.sessionId]
  const file = expect.stringMatching(/^[\w-]{21}$/)
  const line = (audit: AuditEvent, ids: Line) => ({
    level: 30,
    time: expect.any(Number),
    requestId: expect.stringMatching(/^[\w-]{21}$/),
    audit,
    ...ids,
    msg: 'audit',
  })
  expect(auditOf(app)).toEqual([
    // Of the registration: there is no user yet.
    line('pin-issued', {}),
    line('account-created', { user, session: first }),
    line('new-device', { user, session: first }),
    line('pin-issued', { user, session: first }),
    line('new-device', { user, session: second }),
    line('session-revoked', { user, session: second }),
    line('pin-issued', { user, session: first }),
    line('sign-in', { user, session: third }),
    line('file-deleted', { user, session: third, file }),
    line('file-purged', { user, session: third }),
    line('export', { user, session: third }),
    line('damaged-read', { user, session: third, file }),
    line('pin-issued', { user }),
    ...new Array(4).fill(line('wrong-pin', { user })),
    line('wrong-pin', { user }),
    line('locked', { user }),
    line('account-deleted', { user, session: third }),
  ])
  const text = JSON.stringify(auditOf(app))
  for (const secret of ['secret', 'Secret', ada.deviceId, ada.token.slice(4)]) expect(text).not.toContain(secret)
})

it('a wrong PIN that is meant for no account has a line, too, with the address of the client if that is wanted', async () => {
  for (const [setting, client] of [
    ['on', { client: '127.0.0.1' }],
    ['off', {}],
  ] as const) {
    const app = await testApp({ LOG_CLIENT_ADDRESS: setting })
    await app.post('/v1/sessions', { deviceId: newDeviceId(), pin: '0000' }, { 'x-request-id': 'guess-1' })
    await app.settled()
    const own = {
      level: 30,
      time: expect.any(Number),
      requestId: 'guess-1',
      audit: 'wrong-pin',
      ...client,
      msg: 'audit',
    }
    expect(auditOf(app)).toEqual([own])
  }
})

import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { openBeside } from '../../src/adapters/sqlite/database.ts'
import { keyIdOf, openKeyring } from '../../src/vault/crypto/keyring.ts'
import { cryptographicChance } from '../../src/vault/crypto/secrets.ts'
import { temporaryFolder } from '../support/app.ts'
import { command, commandProcess, serverProcess, signedIn } from '../support/process.ts'

const USERS = 2000
const text = (key: Buffer) => key.toString('base64')
const [OLD, NEW] = [randomBytes(32), randomBytes(32)]

/** So many users as a server with the old key would have made them. */
function populate(folder: string) {
  const db = openBeside(join(folder, 'data'))
  const keys = openKeyring({
    ports: { masterKeys: { current: OLD, previous: [] }, keySlots: {} as never, chance: cryptographicChance },
  })
  const addUser = db.prepare('INSERT INTO users (id, name, email, confirmed_by, created_at) VALUES (?, ?, ?, ?, 0)')
  const addSlot = db.prepare('INSERT INTO key_slots (user_id, kind, key_id, sealed) VALUES (?, ?, ?, ?)')
  db.transaction(() => {
    for (let n = 0; n < USERS; n += 1) {
      const { kind, keyId, sealed } = keys.newSlot(`user-${n}`)
      addUser.run(`user-${n}`, 'Ada', `${n}@example.org`, 'response')
      addSlot.run(`user-${n}`, kind, keyId, sealed)
    }
  })()
  db.close()
}

function slotsUnder(folder: string, key: Buffer): number {
  const db = openBeside(join(folder, 'data'))
  try {
    return db.prepare('SELECT count(*) FROM key_slots WHERE key_id = ?').pluck().get(keyIdOf(key)) as number
  } finally {
    db.close()
  }
}

describe('rotate-key', () => {
  it('goes on after kill -9, beside a server under load, and after it a server needs the new key alone', async () => {
    const folder = await temporaryFolder()
    const first = serverProcess(folder, { MASTER_KEY: text(OLD) })
    const headers = await signedIn(first)
    await first.request('/v1/files/before', { method: 'PUT', headers, body: 'before' })
    await first.stop('SIGTERM')
    populate(folder)

    const rotating = { MASTER_KEY: text(NEW), MASTER_KEY_PREVIOUS: text(OLD) }
    const server = serverProcess(folder, rotating)
    await server.url
    let underWay = true
    const answers = new Set<number>()
    const load = Array.from({ length: 3 }, async (_, lane) => {
      while (underWay) {
        const body = randomBytes(10_000)
        answers.add((await server.request(`/v1/files/${lane}`, { method: 'PUT', headers, body })).status)
        answers.add((await server.request('/v1/files/before', { headers })).status)
        await pause(10)
      }
    })
    const killed = commandProcess(folder, ['rotate-key'], rotating)
    await expect.poll(() => slotsUnder(folder, NEW), { timeout: 20_000, interval: 20 }).toBeGreaterThan(0)
    await killed.stop('SIGKILL')
    const left = slotsUnder(folder, OLD)
    expect(left).toBeGreaterThan(0)
    expect(left).toBeLessThan(USERS + 2)

    const { code, report } = await command(folder, ['rotate-key'], rotating)
    expect([code, report]).toEqual([
      0,
      {
        ok: true,
        current: keyIdOf(NEW),
        replaced: left,
        // One user came over HTTP, and one slot is the server's own.
        slots: { [keyIdOf(NEW)]: USERS + 2 },
        locked: [],
        sealing: [],
        purged: true,
      },
    ])
    underWay = false
    await Promise.all(load)
    expect([...answers].sort()).toEqual([200, 201])
    await server.stop('SIGTERM')

    const last = serverProcess(folder, { MASTER_KEY: text(NEW) })
    expect((await last.request('/v1/files/before', { headers })).body).toBe('before')
    expect((await command(folder, ['verify'], { MASTER_KEY: text(NEW) })).code).toBe(0)
  }, 60_000)

  it('ends with 1 while a server runs that does not know the new key', async () => {
    const folder = await temporaryFolder()
    const server = serverProcess(folder, { MASTER_KEY: text(OLD) })
    await signedIn(server)
    const rotating = { MASTER_KEY: text(NEW), MASTER_KEY_PREVIOUS: text(OLD) }
    const { code, stdout, stderr } = await commandProcess(folder, ['rotate-key'], rotating).ended
    expect([code, stdout]).toEqual([1, ''])
    expect(stderr).toContain('a running server cannot open')
    expect(stderr).not.toContain(text(NEW))
    await server.stop('SIGKILL')
    const after = await commandProcess(folder, ['rotate-key'], rotating).ended
    expect([after.code, after.stdout]).toEqual([0, expect.stringContaining('are not needed any more')])
  })
})

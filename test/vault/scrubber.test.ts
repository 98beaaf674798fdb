import { describe, expect, it } from 'vitest'
import { standing } from '../contracts/rows.ts'
import { DAY, type Member, MINUTE, member, type TestApp, testApp } from '../support/app.ts'
import { pathOf, spoil } from '../support/blobs.ts'
import { databaseOf } from '../support/operator.ts'

const SCRUB_DAYS = '0.1'
const WITHIN = DAY / 10

const flipped = (bytes: Buffer) => Buffer.from(bytes.map((byte, at) => (at === 50 ? byte ^ 1 : byte)))

/** A server with one user and files of these names. */
async function vaultWith(names: string[], settings: Record<string, string> = {}) {
  const app = await testApp({ SCRUB_DAYS, ...settings })
  const ada = await member(app)
  for (const name of names) await ada.put(name, `the bytes of ${name}`)
  return { app, ada }
}

async function readBackAt(app: TestApp, ada: Member, names: string[]): Promise<(number | null | undefined)[]> {
  const rows = await Promise.all(names.map((name) => standing(app.ports.files, ada.userId, name)))
  return rows.map((row) => row?.verifiedAt)
}

/** Calls the scrubber every three minutes for this part of the given time. */
async function scrubFor(app: TestApp, part: number): Promise<void> {
  for (let passed = 0; passed < part * WITHIN; passed += 3 * MINUTE) {
    app.clock.turn(3 * MINUTE)
    await app.vault.scrub()
  }
  await app.settled()
}

const damage = (app: TestApp) => app.log.filter((line) => line.includes('reading a file back failed'))

async function damagedReads(ada: Member) {
  const { events } = (await ada.request('/v1/activity')).body as { events: { kind: string; fileId: string }[] }
  return events.filter(({ kind }) => kind === 'damaged-read').map(({ fileId }) => fileId)
}

describe('the scrubber', () => {
  it('reads everything back within the given time, a few files at a time, and the trash too', async () => {
    const names = ['a', 'b', 'c', 'd']
    const { app, ada } = await vaultWith(names)
    await ada.put('binned', '')
    await ada.request('/v1/files/binned', { method: 'DELETE' })
    const done = async () => {
      const rows = await app.ports.files.page('', 10)
      return rows.filter(({ file }) => file.verifiedAt !== null).length
    }
    await scrubFor(app, 0.2)
    const early = await done()
    expect(early).toBeGreaterThan(0)
    expect(early).toBeLessThan(4)
    await scrubFor(app, 0.8)
    expect(await done()).toBe(5)
    expect(damage(app)).toEqual([])
  })

  it('logs the end of each round', async () => {
    const { app, ada } = await vaultWith(['a', 'b'])
    const uploadedAt = app.clock()
    expect(await app.vault.figures.unverifiedSince()).toBe(uploadedAt)
    await spoil(await pathOf(app, ada, 'b'), flipped)
    await scrubFor(app, 2)
    const ends = app.log.filter((line) => line.includes('read everything back')).map((line) => JSON.parse(line))
    const startedAt = new Date(uploadedAt).toISOString()
    expect(ends[0]).toMatchObject({ startedAt, files: 2, bytes: 28, damaged: 1 })
    expect(Date.parse(ends[1].startedAt)).toBeGreaterThan(uploadedAt)
    expect(await app.vault.figures.unverifiedSince()).toBeGreaterThan(uploadedAt)
  })

  it('says nothing of a vault without files', async () => {
    const { app } = await vaultWith([])
    await scrubFor(app, 0.2)
    expect(await app.vault.figures.unverifiedSince()).toBeNull()
    expect(app.log.join()).not.toContain('read everything back')
  })

  it('goes on where it was after a restart, and again from the start of the order', async () => {
    const names = ['a', 'b', 'c', 'd']
    const { app, ada } = await vaultWith(names)
    await scrubFor(app, 0.4)
    const before = await readBackAt(app, ada, names)
    await app.close()
    const next = await testApp({ SCRUB_DAYS }, `${app.config.DATA_DIR}/..`)
    next.clock.turn(0.4 * WITHIN)
    await scrubFor(next, 0.4)
    const after = await readBackAt(next, ada, names)
    expect(after).not.toContain(null)
    for (const [n, at] of before.entries()) if (at) expect(after[n]).toBe(at)
    await scrubFor(next, 0.9)
    const again = await readBackAt(next, ada, names)
    expect(again.every((at, n) => Number(at) > Number(after[n]))).toBe(true)
  })

  it('logs damage with file and blob, notes it once, and goes on', async () => {
    const { app, ada } = await vaultWith(['good', 'bad', 'lost'])
    const [bad, lost] = [
      await standing(app.ports.files, ada.userId, 'bad'),
      await standing(app.ports.files, ada.userId, 'lost'),
    ]
    await spoil(await pathOf(app, ada, 'bad'), flipped)
    await app.ports.blobs.delete([lost?.blob as string])
    await scrubFor(app, 0.9)
    expect(await readBackAt(app, ada, ['good', 'bad', 'lost'])).toEqual([expect.any(Number), null, null])
    const lines = damage(app)
    // In the order of the last attempt, like all others.
    expect([2, 3]).toContain(lines.length)
    expect(lines.join('\n')).toContain(`file ${bad?.id} is damaged: its blob does not open (blob ${bad?.blob})`)
    expect(lines.join('\n')).toContain(`file ${lost?.id} is damaged: its blob ${lost?.blob} is missing`)
    expect((await damagedReads(ada)).sort()).toEqual([bad?.id, lost?.id].sort())

    await scrubFor(app, 0.9)
    expect(damage(app).length).toBeLessThanOrEqual(6)
    expect(await damagedReads(ada)).toHaveLength(2)
    // A repeated upload repairs the file.
    await ada.put('bad', 'the bytes of bad')
    await scrubFor(app, 0.9)
    expect(await readBackAt(app, ada, ['bad'])).toEqual([expect.any(Number)])
  })

  it('leaves out files whose owner’s key is not there, and goes on', async () => {
    const { app, ada } = await vaultWith(['a', 'b'])
    const [ben, eve] = [await member(app), await member(app)]
    for (const one of [ben, eve]) await one.put('file', 'bytes')
    const db = databaseOf(app)
    db.prepare('DELETE FROM key_slots WHERE user_id = ?').run(ben.userId)
    db.prepare("UPDATE key_slots SET key_id = 'feed' WHERE user_id = ?").run(eve.userId)
    await scrubFor(app, 0.9)
    expect(await readBackAt(app, ada, ['a', 'b'])).toEqual([expect.any(Number), expect.any(Number)])
    expect(damage(app)).toEqual([])
    expect((await app.ports.files.readBack({ from: 0, before: 1 }, 10)).length).toBe(0)
  })

  it('does not report a file that goes, or is replaced, while it is read', async () => {
    const { app, ada } = await vaultWith(['a', 'b'])
    const { length } = app.ports.blobs
    for (const change of [() => ada.replace('a', 'other'), () => ada.replace('b', 'the bytes of b')]) {
      app.ports.blobs.length = async (blob) => {
        app.ports.blobs.length = length
        await change()
        await app.settled()
        return length(blob)
      }
      await scrubFor(app, 0.4)
    }
    await scrubFor(app, 0.9)
    expect(damage(app)).toEqual([])
    expect(await readBackAt(app, ada, ['a', 'b'])).toEqual([expect.any(Number), expect.any(Number)])
  })

  it('tries again after an error of the store, which says nothing about the file', async () => {
    const { app, ada } = await vaultWith(['a'])
    const { open } = app.ports.blobs
    app.ports.blobs.open = async () => {
      throw Object.assign(new Error('the store does not answer'), { code: 'EUNREACHABLE' })
    }
    await scrubFor(app, 0.9)
    expect(damage(app)).toEqual([])
    expect(app.log.join('\n')).toContain('reading files back failed')
    app.ports.blobs.open = open
    await scrubFor(app, 0.9)
    expect(await readBackAt(app, ada, ['a'])).toEqual([expect.any(Number)])
  })

  it('takes a blob that the disk cannot read for damage', async () => {
    const { app, ada } = await vaultWith(['a'])
    app.ports.blobs.open = async () => {
      throw Object.assign(new Error('i/o error'), { code: 'EIO' })
    }
    await app.vault.scrub()
    expect(damage(app).join('\n')).toMatch(/its blob cannot be read \(EIO\) \(blob /)
    expect(await readBackAt(app, ada, ['a'])).toEqual([null])
  })

  it('reads again what was read in a future that did not come', async () => {
    const { app, ada } = await vaultWith(['a', 'b'])
    app.clock.turn(100 * WITHIN)
    await scrubFor(app, 0.9)
    const wrong = await readBackAt(app, ada, ['a', 'b'])
    app.clock.turn(-100 * WITHIN)
    await scrubFor(app, 0.9)
    const right = await readBackAt(app, ada, ['a', 'b'])
    expect(right.every((at, n) => Number(at) < Number(wrong[n]))).toBe(true)
  })

  it('warns once a day if it cannot keep up, and hurries', async () => {
    const { app, ada } = await vaultWith(['a', 'b'])
    const warnings = () => app.log.filter((line) => line.includes('reading all files back within SCRUB_DAYS failed'))
    await scrubFor(app, 0.9)
    expect(warnings()).toEqual([])
    app.clock.turn(4 * WITHIN)
    await app.vault.scrub()
    await app.vault.scrub()
    expect(warnings()).toHaveLength(1)
    expect(warnings()[0]).toContain('one was last read back at 2026-')
    await scrubFor(app, 0.3)
    expect((await readBackAt(app, ada, ['a', 'b'])).every((at) => app.clock() - Number(at) < WITHIN)).toBe(true)
    databaseOf(app).exec('UPDATE users SET byte_count = 1000000000000000')
    app.clock.turn(DAY)
    await app.vault.scrub()
    expect(warnings().at(-1)).toMatch(/files must be read at \d{6}\.\d MiB\/s for this, and at most 16 are read/)
  })

  it('waits for its turn while another server reads back', async () => {
    const { app, ada } = await vaultWith(['a'])
    const { takeTurn } = app.ports.ledger
    app.ports.ledger.takeTurn = async () => false
    await scrubFor(app, 0.1)
    expect(await readBackAt(app, ada, ['a'])).toEqual([null])
    app.ports.ledger.takeTurn = takeTurn
    await app.vault.scrub()
    expect(await readBackAt(app, ada, ['a'])).toEqual([app.clock()])
  })

  it('stops in the middle of a large file when the server closes', async () => {
    const { app, ada } = await vaultWith([])
    await ada.put('large', Buffer.alloc(20_000_000))
    const running = app.vault.scrub()
    expect(app.vault.scrub()).toBe(running)
    const begunAt = performance.now()
    await app.close()
    await running
    // Without the stop, pauses alone would take most of a second.
    expect(performance.now() - begunAt).toBeLessThan(10_000)
    expect(damage(app)).toEqual([])
    expect(app.log.join('\n')).not.toContain('reading files back failed')
    await expect(app.vault.scrub()).resolves.toBeUndefined()
  })

  it.each([{ SCRUB_DAYS: '0' }, { READ_ONLY: 'on' }])('does nothing with %o', async (settings) => {
    const { app, ada } = await vaultWith(['a'])
    await app.close()
    const next = await testApp(settings as Record<string, string>, `${app.config.DATA_DIR}/..`)
    next.clock.turn(WITHIN)
    await next.vault.scrub()
    expect(await readBackAt(next, ada, ['a'])).toEqual([null])
  })
})

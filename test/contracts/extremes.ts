/** Every database answers extreme values that the types of its ports allow like any other value, and without an error. */
import { describe, expect, it } from 'vitest'
import type { FileSort, NewFile } from '../../src/ports/files.ts'
import { EACH, newEvent, newFile, newSlot, type Repositories, random, rowOf, standing, T, withOwners } from './rows.ts'

const MOST = Number.MAX_SAFE_INTEGER
/** No row has any of these as its id, name or address. */
const TEXTS = [
  '',
  '\0',
  'a\0b',
  '\ud800',
  'a\udfff',
  '\u{10ffff}',
  'é'.repeat(127),
  "'; DROP TABLE users --",
  '%',
  '{}',
]
const NUMBERS = [0, -1, MOST, -MOST]
const RULE = { every: 5, firstPauseMs: 15 * 60_000 }

export function extremesContract(name: string, make: () => Promise<Repositories>) {
  describe(`${name} answers to extreme values`, () => {
    it('nothing, for what asks for nobody and nothing', async () => {
      const { users, keySlots, sessions, files, trash, ledger, pinLedger, activity, ana } = await withOwners(make)
      const file = newFile('\ufffd')
      await files.commit(ana, file, null, null)
      for (const text of TEXTS) {
        const seen = { ...newFile(text), id: text, blob: text }
        expect([await users.find(text), await users.findByEmail(text), await users.usage(text)]).toEqual([
          null,
          null,
          { files: 0, trashFiles: 0, bytes: 0 },
        ])
        expect([await users.remove(text), await users.clearOut(text, 10), await users.forget(text)]).toEqual([
          false,
          { removed: 0, versions: [] },
          true,
        ])
        expect([await keySlots.find(text), await keySlots.replace(text, newSlot('a'), newSlot('b'))]).toEqual([
          [],
          false,
        ])
        expect([await sessions.find(ana, text), await sessions.list(text), await sessions.end(ana, text, T)]).toEqual([
          null,
          [],
          null,
        ])
        expect([await sessions.knowsDevice(ana, text), await sessions.endOthers(text, text, T)]).toEqual([false, []])
        await sessions.touch(ana, text, T)
        expect(await activity.list(text, { since: 0, after: { at: T, id: text }, limit: 10 })).toEqual([])
        await activity.note(text, newEvent(), EACH)
        expect([await files.snapshot(text, 'a'), (await files.snapshot(ana, text))?.file]).toEqual([null, null])
        expect([await files.byId(text), await files.commit(text, newFile('a'), null, null)]).toEqual([null, 'gone'])
        expect([await files.edit(ana, seen, { name: 'b', taken: null }, 9), await files.discard(ana, seen, T)]).toEqual(
          ['stale', 'stale'],
        )
        expect([await trash.find(ana, text), await trash.remove(ana, text)]).toEqual([null, null])
        expect([await trash.restore(ana, seen, 'b', 9), await trash.empty(text, MOST, 10)]).toEqual(['stale', []])
        expect([await ledger.named([text]), await ledger.goesOn(text)]).toEqual([[], false])
        await ledger.forgetGarbage([text])
        await ledger.forgetRun(text)
        await ledger.release(text)
        const guess = { deviceId: text, kind: 'pin' as const, address: null, at: T, maxAttempts: 5, rule: RULE }
        expect(await pinLedger.count(guess)).toEqual({ counted: { as: 'nobody' }, handedOut: [] })
      }
      expect(await sessions.findByTokenHash(Buffer.alloc(0))).toBeNull()
      expect(await pinLedger.isPaused(Buffer.alloc(0), MOST)).toBe(false)
      expect(await standing(files, ana, '\ufffd')).toEqual(file)
    })

    it('nothing, for no blobs and for a limit of none', async () => {
      const { users, keySlots, files, trash, ledger, activity, ana } = await withOwners(make)
      const { version, ...file } = newFile('a')
      await files.commit(ana, { ...file, version }, null, null)
      const none = [
        files.parts('none', 0, 10),
        files.parts(version, 0, 0),
        ledger.named([]),
        ledger.renounce([]),
        ledger.garbage(0),
        ledger.garbage(10, []),
      ]
      const pages = [
        files.list(ana, { prefix: '', sort: 'size', order: 'desc', after: null, limit: 0 }),
        files.page('', 0),
        trash.list(ana, { since: -MOST, after: null, limit: 0 }),
        activity.list(ana, { since: -MOST, after: null, limit: 0 }),
        users.audit('', 0),
        users.departed(0),
        users.clearOut(ana, 0).then(({ versions }) => versions),
        keySlots.notUnder('other', 0),
        trash.empty(ana, MOST, 0),
        trash.expire(MOST, 0),
      ]
      expect(await Promise.all([...none, ...pages])).toEqual(Array(none.length + pages.length).fill([]))
      expect(await activity.expire(MOST, 0)).toBe(0)
      await ledger.forgetGarbage([])
    })

    it.each<FileSort>(['name', 'size', 'createdAt', 'updatedAt', 'takenAt'])(
      'whole pages, wherever one by %s begins',
      async (sort) => {
        const { files, ana } = await withOwners(make)
        for (const name of ['a', '\ufffd', '\u{10ffff}']) await files.commit(ana, newFile(name), null, null)
        const count = async (key: string | number, id: string, order: 'asc' | 'desc') =>
          (await files.list(ana, { prefix: '', sort, order, after: { key, id }, limit: 1000 })).length
        const keys = sort === 'name' ? ['', '\u{10ffff}'.repeat(63)] : [-MOST, MOST]
        const found = await Promise.all(
          keys.flatMap((key) => ['', '\u{10ffff}'].flatMap((id) => [count(key, id, 'asc'), count(key, id, 'desc')])),
        )
        expect(found).toEqual([3, 0, 3, 0, 0, 3, 0, 3])
      },
    )

    it('no names, where no name begins so', async () => {
      const { files, ana } = await withOwners(make)
      for (const name of ['a', '\ufffd', '\ufffdb']) await files.commit(ana, newFile(name), null, null)
      const page = (prefix: string) => files.list(ana, { prefix, sort: 'name', order: 'asc', after: null, limit: 1000 })
      for (const text of TEXTS.slice(1)) expect([text, await page(text)]).toEqual([text, []])
      expect(await page('\ufffd')).toHaveLength(2)
    })

    it('the times that it was given, however far out', async () => {
      const { sessions, files, trash, ledger, pinLedger, activity, ana } = await withOwners(make)
      for (const at of NUMBERS) {
        const event = newEvent({ at, id: random() })
        await activity.note(ana, event, { ...EACH, fold: { since: at, mostAddresses: 0, file: 'same' } })
        expect(await activity.list(ana, { since: at, after: { at, id: event.id }, limit: 1000 })).toEqual([])
        expect(await trash.list(ana, { since: at, after: { deletedAt: at, id: '\u{10ffff}' }, limit: 1000 })).toEqual(
          [],
        )
        expect([await trash.empty(ana, at, 1000), await trash.expire(at, 1000)]).toEqual([[], []])
        const file = { ...newFile(`file-${at}`), createdAt: at, updatedAt: at }
        expect(await files.commit(ana, file, null, null)).toBe('done')
        expect(await standing(files, ana, file.name)).toEqual({ ...file, namedAt: expect.any(Number) })
        expect(await files.discard(ana, file, at)).toBe('done')
        expect(await trash.find(ana, file.id)).toEqual({ ...rowOf(file), deletedAt: at, namedAt: expect.any(Number) })
        expect(await trash.empty(ana, at, 1000)).toEqual([file.version])
        expect(await ledger.hold(`hold-${at}`, at, MOST)).toBe(true)
        await ledger.release(`hold-${at}`)
        expect(await ledger.held(at)).toBe(false)
        await pinLedger.forget(at)
      }
      await sessions.forget(-MOST, -MOST, -MOST)
      expect(await sessions.list(ana)).toHaveLength(1)
      await sessions.forget(MOST, MOST, MOST)
      expect(await sessions.list(ana)).toEqual([])
    })

    it('the largest and the smallest files, under the longest names', async () => {
      const { users, files, ana } = await withOwners(make)
      const all: NewFile[] = [
        { ...newFile('x'.repeat(255)), sizeBytes: MOST, contentType: '', seal: Buffer.alloc(0) },
        { ...newFile(`${'\u{10ffff}'.repeat(63)}abc`), sizeBytes: 0, contentType: 'x'.repeat(255) },
        { ...newFile('\ufffd'), sizeBytes: MOST - 1 },
      ]
      for (const file of all) expect(await files.commit(ana, file, null, { bytes: null, files: MOST })).toBe('done')
      for (const file of all) expect(await standing(files, ana, file.name)).toEqual(file)
      const bytes = all.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
      expect(await users.usage(ana)).toEqual({ files: 3, trashFiles: 0, bytes })
      expect(await files.commit(ana, newFile('more'), null, { bytes: MOST, files: MOST })).toBe('quota')
      expect(await files.commit(ana, { ...newFile('more'), sizeBytes: 0 }, null, { bytes: 0, files: 0 })).toBe(
        'quota-files',
      )
    })

    it('no fault, for an event whose texts are odd', async () => {
      const { activity, ana } = await withOwners(make)
      for (const text of TEXTS) {
        const event = newEvent({ address: text, userAgent: text, sessionId: text, deviceId: text, fileId: text })
        await activity.note(ana, event, EACH)
        await activity.note(ana, event, { ...EACH, fold: { since: -MOST, mostAddresses: MOST, file: 'same' } })
      }
      const listed = await activity.list(ana, { since: 0, after: null, limit: 1000 })
      expect(listed.filter(({ kind }) => kind === 'sign-in').map(({ count }) => count)).toContain(2)
    })
  })
}

/** The contract of every database for uploads that arrive in several requests, and for the files that they become. */
import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { Part } from '../../src/ports/files.ts'
import type { ListedUpload, MovedPart, OwnedUpload, Upload, UploadRepository } from '../../src/ports/uploads.ts'
import { names, newFile, type Repositories, random, rowOf, sized, standing, T, withOwners } from './rows.ts'

const MOST = Number.MAX_SAFE_INTEGER
const MANY = 1000
/** No upload has any of these as its id, and nobody is called so. */
const ODD = ['', '\0', 'a\0b', '\ud800', '\u{10ffff}', "'; DROP TABLE uploads --", '%', 'é'.repeat(127)]

export function uploadsContract(name: string, make: () => Promise<Repositories>) {
  describe(`${name} keeps uploads`, () => {
    it('as they were created, for their owner alone', async () => {
      const { uploads, ana, ben } = await withOwners(make)
      const whole = newUpload({ name: 'beach.jpg', contentType: 'image/jpeg', sizeBytes: 2 ** 40 })
      const bare = newUpload({ name: null, sizeBytes: null, onConflict: 'replace', protocol: 'ietf', terms: '' })
      for (const upload of [whole, bare]) expect(await uploads.create(ana, upload, MANY)).toBe('done')
      for (const upload of [whole, bare]) {
        expect(await uploads.find(ana, upload.id)).toEqual(upload)
        expect([await uploads.find(ben, upload.id), await uploads.claim(ben, upload.id)]).toEqual([null, null])
        expect(await uploads.remove(ben, upload.id)).toBe(false)
        expect(await uploads.find(ana, upload.id)).toEqual(upload)
      }
      expect(await uploads.list(ben)).toEqual([])
    })

    it('up to a number, not counting those that are complete', async () => {
      const { uploads, files, ana, ben } = await withOwners(make)
      const first = await beginUpload(uploads, ana, { sizeBytes: 1 })
      await received(uploads, ana, first.id, [1])
      expect(await uploads.create(ana, newUpload(), 1)).toBe('full')
      expect(await uploads.create(ben, newUpload(), 1)).toBe('done')
      expect(await files.commit(ana, become(first, 'a', 1), null, null)).toBe('done')
      const second = newUpload()
      expect(await uploads.create(ana, second, 1)).toBe('done')
      expect(await uploads.create(ana, newUpload(), 1)).toBe('full')
      expect(await uploads.list(ana)).toEqual([second].map(listed))
    })

    it('exactly up to that number, however many come at once', async () => {
      const { uploads, ana } = await withOwners(make)
      const answers = await Promise.all(Array.from({ length: 20 }, () => uploads.create(ana, newUpload(), 7)))
      expect(answers.filter((answer) => answer === 'done')).toHaveLength(7)
      expect(await uploads.list(ana)).toHaveLength(7)
    })

    it('and forgets complete ones beyond twice that number, those touched longest ago first', async () => {
      const { uploads, files, ana, ben } = await withOwners(make)
      const complete = async (owner: string, touchedAt: number) => {
        const upload = await beginUpload(uploads, owner, { sizeBytes: 1, touchedAt })
        await received(uploads, owner, upload.id, [1])
        expect(await files.commit(owner, become(upload, upload.id, 1), null, null)).toBe('done')
        return upload.id
      }
      const kept = await complete(ben, T)
      const open = await beginUpload(uploads, ana, { touchedAt: T - 1 })
      const older = []
      for (let n = 0; n < 57; n += 1) older.push(await complete(ana, T))
      const most = 30
      const isThere = async (id: string) => (await uploads.find(ana, id)) !== null
      // 58 are there, and then 59.
      for (const id of ['one', 'two']) await beginUpload(uploads, ana, { id }, most)
      expect(await Promise.all(older.map(isThere))).not.toContain(false)
      await beginUpload(uploads, ana, { id: 'three' }, most)
      expect((await Promise.all(older.map(isThere))).filter(Boolean)).toHaveLength(7)
      expect((await uploads.list(ana)).map(({ id }) => id)).toEqual(
        expect.arrayContaining([open.id, 'one', 'two', 'three']),
      )
      expect(await uploads.find(ben, kept)).not.toBeNull()
    })

    it('of nobody who is not there', async () => {
      const { uploads, users, ana } = await withOwners(make)
      await users.remove(ana)
      for (const owner of ['nobody', ana]) expect(await uploads.create(owner, newUpload(), MANY)).toBe('gone')
    })

    it('and lists those that are not complete, the oldest first', async () => {
      const { uploads, files, ana, ben } = await withOwners(make)
      const at = (createdAt: number, id: string) => ({ id, createdAt, touchedAt: createdAt, sizeBytes: 1 })
      const late = await beginUpload(uploads, ana, at(T + 9, 'a'))
      const early = await beginUpload(uploads, ana, at(T, 'z'))
      const same = await beginUpload(uploads, ana, at(T, 'y'))
      const complete = await beginUpload(uploads, ana, at(T, 'x'))
      await beginUpload(uploads, ben, at(T, 'w'))
      await received(uploads, ana, complete.id, [1])
      await files.commit(ana, become(complete, 'a', 1), null, null)
      expect(await uploads.list(ana)).toEqual([same, early, late].map(listed))
    })

    it('and shows those of everybody that are not complete, page by page', async () => {
      const { uploads, files, ana, ben } = await withOwners(make)
      const complete = await beginUpload(uploads, ben, { sizeBytes: 1 })
      await received(uploads, ben, complete.id, [1])
      await files.commit(ben, become(complete, 'a', 1), null, null)
      const all: OwnedUpload[] = []
      for (const owner of [ana, ben, ana, ben, ana]) all.push({ owner, upload: await beginUpload(uploads, owner) })
      all.sort((a, b) => (a.upload.id < b.upload.id ? -1 : 1))
      const idOf = (n: number) => all[n]?.upload.id as string
      expect(await uploads.page('', 100)).toEqual(all)
      expect(await uploads.page('', 2)).toEqual(all.slice(0, 2))
      expect(await uploads.page(idOf(1), 2)).toEqual(all.slice(2, 4))
      expect([await uploads.page(idOf(4), 2), await uploads.page('', 0)]).toEqual([[], []])
    })

    it('and raises the claim each time that an upload is taken', async () => {
      const { uploads, ana } = await withOwners(make)
      const upload = await beginUpload(uploads, ana)
      const claimed = await Promise.all(Array.from({ length: 5 }, () => uploads.claim(ana, upload.id)))
      expect(claimed.map((one) => one?.claim).sort()).toEqual([1, 2, 3, 4, 5])
      expect(await uploads.find(ana, upload.id)).toEqual({ ...upload, claim: 5 })
      expect(await uploads.claim(ana, 'none')).toBeNull()
    })
  })

  describe(`${name} appends to an upload`, () => {
    it('part by part, and counts their bytes for the owner at once', async () => {
      const { uploads, users, files, ana, ben } = await withOwners(make)
      const upload = await beginUpload(uploads, ana)
      const claimed = await uploads.claim(ana, upload.id)
      const parts = [newPart(0, 100), newPart(100, 7)]
      for (const part of parts) {
        const seen = { id: upload.id, offset: part.start, claim: 1 }
        expect(await uploads.append(ana, seen, part, { sizeBytes: null, at: T + part.start, quotaBytes: 107 })).toBe(
          'done',
        )
      }
      expect(await uploads.find(ana, upload.id)).toEqual({ ...claimed, offset: 107, parts: 2, touchedAt: T + 100 })
      expect(await files.parts(upload.id, 0, 10)).toEqual(parts)
      const used = { files: 0, trashFiles: 0, bytes: 107 }
      expect([await users.usage(ana), (await users.usage(ben)).bytes]).toEqual([used, 0])
      expect((await users.audit('', 10)).find(({ id }) => id === ana)).toEqual({ id: ana, counted: used, actual: used })
      expect((await users.page('', 10)).find(({ id }) => id === ana)).toMatchObject(used)
    })

    it('nothing but the length of the whole', async () => {
      const { uploads, users, files, ana } = await withOwners(make)
      const upload = await beginUpload(uploads, ana)
      const change = { sizeBytes: 50, at: T + 1, quotaBytes: 0 }
      expect(await uploads.append(ana, upload, null, change)).toBe('done')
      expect(await uploads.find(ana, upload.id)).toEqual({ ...upload, sizeBytes: 50, touchedAt: T + 1 })
      expect(await uploads.append(ana, upload, null, { ...change, sizeBytes: null, at: T + 2 })).toBe('done')
      expect(await uploads.find(ana, upload.id)).toEqual({ ...upload, sizeBytes: 50, touchedAt: T + 2 })
      expect([await files.parts(upload.id, 0, 10), (await users.usage(ana)).bytes]).toEqual([[], 0])
    })

    it('a part without bytes, also to a user who is over the quota', async () => {
      const { uploads, files, ana } = await withOwners(make)
      await files.commit(ana, sized('large', 100), null, null)
      const upload = await beginUpload(uploads, ana)
      const part = newPart(0, 0)
      expect(await uploads.append(ana, upload, part, { sizeBytes: 0, at: T, quotaBytes: 10 })).toBe('done')
      expect(await uploads.find(ana, upload.id)).toEqual({ ...upload, sizeBytes: 0, parts: 1 })
      expect(await files.parts(upload.id, 0, 10)).toEqual([part])
    })

    it('nothing for a caller who did not see it as it is', async () => {
      const { uploads, users, files, ledger, ana, ben } = await withOwners(make)
      const upload = await beginUpload(uploads, ana)
      await received(uploads, ana, upload.id, [10])
      const seen = (await uploads.claim(ana, upload.id)) as Upload
      const complete = await beginUpload(uploads, ana, { sizeBytes: 10 })
      await received(uploads, ana, complete.id, [10])
      await files.commit(ana, become(complete, 'a', 10), null, null)
      const gone = await beginUpload(uploads, ana)
      await uploads.remove(ana, gone.id)
      const before = await users.usage(ana)
      for (const [owner, wrong] of [
        [ana, { ...seen, claim: seen.claim - 1 }],
        [ana, { ...seen, claim: seen.claim + 1 }],
        [ana, { ...seen, offset: 9 }],
        [ana, { ...seen, offset: 11 }],
        [ana, { ...complete, offset: 10 }],
        [ana, gone],
        [ana, { ...seen, id: 'none' }],
        [ben, seen],
        ['nobody', seen],
      ] as const) {
        for (const part of [newPart(wrong.offset, 5), null]) {
          const change = { sizeBytes: 77, at: T + 9, quotaBytes: null }
          expect(await uploads.append(owner, wrong, part, change)).toBe('stale')
          if (part) expect(await ledger.named([part.blob])).toEqual([])
        }
      }
      expect(await uploads.find(ana, seen.id)).toEqual(seen)
      expect([await users.usage(ana), (await users.usage(ben)).bytes]).toEqual([before, 0])
    })

    it('one of many parts that come at once', async () => {
      const { uploads, users, files, ana } = await withOwners(make)
      const upload = await beginUpload(uploads, ana)
      const change = { sizeBytes: null, at: T, quotaBytes: null }
      const answers = await Promise.all(
        Array.from({ length: 20 }, () => uploads.append(ana, upload, newPart(0, 10), change)),
      )
      expect(answers.filter((answer) => answer === 'done')).toHaveLength(1)
      expect(answers.filter((answer) => answer === 'stale')).toHaveLength(19)
      expect(await files.parts(upload.id, 0, 10)).toHaveLength(1)
      expect((await users.usage(ana)).bytes).toBe(10)
    })

    it('nothing that a run wrote which is over or was never opened', async () => {
      const { uploads, users, ledger, ana } = await withOwners(make)
      const upload = await beginUpload(uploads, ana)
      await ledger.openRun('run-2', T, [])
      await ledger.endedRuns('run-2')
      const change = { sizeBytes: 9, at: T + 9, quotaBytes: null }
      for (const blob of ['run/late', 'no-run/late']) {
        expect(await uploads.append(ana, upload, { ...newPart(0, 5), blob }, change)).toBe('run-ended')
      }
      expect([await uploads.find(ana, upload.id), (await users.usage(ana)).bytes]).toEqual([upload, 0])
      const part = { ...newPart(0, 5), blob: 'run-2/in-time' }
      expect(await uploads.append(ana, upload, part, change)).toBe('done')
    })

    it('and keeps it when its run ends', async () => {
      const { uploads, ledger, ana } = await withOwners(make)
      const upload = await beginUpload(uploads, ana)
      const [part] = await received(uploads, ana, upload.id, [5])
      await ledger.openRun('run-2', T, [])
      expect(await ledger.endedRuns('run-2')).toEqual(['run'])
      expect(await ledger.named([part?.blob as string, 'run/other'])).toEqual([part?.blob])
      await ledger.forgetRun('run')
      expect(await ledger.named([part?.blob as string])).toEqual([part?.blob])
      const seen = (await uploads.claim(ana, upload.id)) as Upload
      const next = { ...newPart(5, 5), blob: 'run-2/next' }
      expect(await uploads.append(ana, seen, next, { sizeBytes: null, at: T, quotaBytes: null })).toBe('done')
    })

    it('a part in the place of the last one, whose blob is garbage then', async () => {
      const { uploads, users, files, ledger, ana } = await withOwners(make)
      const upload = await beginUpload(uploads, ana)
      const [first, last] = (await received(uploads, ana, upload.id, [10, 3])) as [Part, Part]
      const seen = (await uploads.claim(ana, upload.id)) as Upload
      const longer = newPart(10, 8)
      const change = { sizeBytes: 99, at: T + 9, quotaBytes: 18, replaced: 'former' }
      expect(await uploads.append(ana, seen, newPart(10, 9), change)).toBe('quota')
      expect(await uploads.append(ana, seen, { ...longer, blob: 'other-run/blob' }, change)).toBe('run-ended')
      expect(await uploads.append(ana, { ...seen, claim: 0 }, longer, change)).toBe('stale')
      // The last part begins elsewhere, or does not end at the offset.
      for (const start of [9, 11, 0]) expect(await uploads.append(ana, seen, newPart(start, 2), change)).toBe('stale')
      expect(await files.parts(upload.id, 0, 10)).toEqual([first, last])
      expect(await ledger.garbage(10)).toEqual([])
      expect(await uploads.append(ana, seen, longer, change)).toBe('done')
      expect(await files.parts(upload.id, 0, 10)).toEqual([first, longer])
      expect(await uploads.find(ana, upload.id)).toEqual({ ...seen, offset: 18, sizeBytes: 99, touchedAt: T + 9 })
      expect(await ledger.garbage(10)).toEqual([last.blob])
      expect(await ledger.garbage(10, ['former'])).toEqual([last.blob])
      expect((await users.usage(ana)).bytes).toBe(18)
    })

    it('as many bytes as fit into the quota, exactly, with files and other uploads', async () => {
      const { uploads, users, files, ana } = await withOwners(make)
      await files.commit(ana, sized('file', 10), null, null)
      const all = await Promise.all(Array.from({ length: 20 }, () => beginUpload(uploads, ana)))
      const change = { sizeBytes: 99, at: T + 9, quotaBytes: 100 }
      const append = (upload: Upload) => uploads.append(ana, upload, newPart(0, 30), change)
      const answers = await Promise.all(all.map(append))
      expect(answers.filter((answer) => answer === 'done')).toHaveLength(3)
      expect(answers.filter((answer) => answer === 'quota')).toHaveLength(17)
      expect((await users.usage(ana)).bytes).toBe(100)
      const refused = all[answers.indexOf('quota')] as Upload
      expect(await uploads.find(ana, refused.id)).toEqual(refused)
      expect(await files.commit(ana, sized('more', 1), null, { bytes: 100, files: MOST })).toBe('quota')
    })

    it('nothing whose blob another part has', async () => {
      const { uploads, users, ana } = await withOwners(make)
      const upload = await beginUpload(uploads, ana)
      const [part] = await received(uploads, ana, upload.id, [5])
      const twice = { ...newPart(5, 5), blob: part?.blob as string }
      const change = { sizeBytes: null, at: T, quotaBytes: null }
      await expect(uploads.append(ana, { ...upload, offset: 5 }, twice, change)).rejects.toThrow()
      expect([(await uploads.find(ana, upload.id))?.offset, (await users.usage(ana)).bytes]).toEqual([5, 5])
    })
  })

  describe(`${name} makes one upload of several`, () => {
    it('with all their parts in the given order, and counts no byte twice', async () => {
      const { uploads, users, files, ledger, ana } = await withOwners(make)
      const [first, second] = [await pieceOf(uploads, ana, [3, 4]), await pieceOf(uploads, ana, [5])]
      const whole = await beginUpload(uploads, ana)
      const moved = placed([
        [second.upload, second.parts],
        [first.upload, first.parts],
      ])
      expect(await uploads.concatenate(ana, whole.id, moved, T + 9)).toBe('done')
      const joined = { ...whole, offset: 12, sizeBytes: 12, parts: 3, touchedAt: T + 9 }
      expect(await uploads.list(ana)).toEqual([joined].map(listed))
      const blobs = [...second.parts, ...first.parts].map(({ blob }) => blob)
      expect(await files.parts(whole.id, 0, 10)).toEqual(
        [0, 5, 8].map((start, n) => {
          const sizeBytes = [5, 3, 4][n]
          return { start, sizeBytes, blob: blobs[n], seal: moved[n]?.seal }
        }),
      )
      for (const { upload } of [first, second]) {
        expect([await uploads.find(ana, upload.id), await files.parts(upload.id, 0, 10)]).toEqual([null, []])
      }
      const used = { files: 0, trashFiles: 0, bytes: 12 }
      expect((await users.audit('', 10)).find(({ id }) => id === ana)).toEqual({ id: ana, counted: used, actual: used })
      expect(await ledger.garbage(10)).toEqual([])
      expect(await files.commit(ana, become(joined, 'film', 12), null, null)).toBe('done')
    })

    it('only as the caller saw them', async () => {
      const { uploads, users, files, ana, ben } = await withOwners(make)
      const one = await pieceOf(uploads, ana, [3, 4])
      const bens = await pieceOf(uploads, ben, [3])
      const open = await beginUpload(uploads, ana, { sizeBytes: 9 })
      const openParts = await received(uploads, ana, open.id, [3])
      const endless = await beginUpload(uploads, ana)
      const endlessParts = await received(uploads, ana, endless.id, [3])
      const complete = await pieceOf(uploads, ana, [3])
      await files.commit(ana, become(complete.upload, 'a', 3), null, null)
      const whole = await beginUpload(uploads, ana)
      const good = placed([[one.upload, one.parts]])
      const before = await Promise.all([uploads.list(ana), uploads.list(ben), users.usage(ana)])
      const cases: [string, string, string, MovedPart[]][] = [
        ['a length not reached', ana, whole.id, placed([[open, openParts]])],
        ['no length', ana, whole.id, placed([[endless, endlessParts]])],
        ['complete', ana, whole.id, placed([[complete.upload, complete.parts]])],
        ['of another user', ana, whole.id, placed([[bens.upload, bens.parts]])],
        ['not there', ana, whole.id, placed([[newUpload(), [newPart(0, 3)]]])],
        ['one good, one not', ana, whole.id, [...good, ...placed([[open, openParts]], 7)]],
        ['a part fewer', ana, whole.id, good.slice(0, 1)],
        ['a part twice', ana, whole.id, [good[0], good[0]] as MovedPart[]],
        ['another part', ana, whole.id, good.map((part) => ({ ...part, from: part.from * 2 }))],
        ['the same upload twice', ana, whole.id, [...good, ...placed([[one.upload, one.parts]], 7)]],
        ['into one that is not there', ana, 'none', good],
        ['into one of another user', ben, whole.id, placed([[bens.upload, bens.parts]])],
        ['into one that has parts', ana, open.id, good],
        ['into itself', ana, whole.id, [...good, ...placed([[whole, [newPart(0, 0)]]], 7)]],
      ]
      for (const [what, owner, into, moved] of cases) {
        expect([what, await uploads.concatenate(owner, into, moved, T + 9)]).toEqual([what, 'stale'])
      }
      expect(await Promise.all([uploads.list(ana), uploads.list(ben), users.usage(ana)])).toEqual(before)
      expect(await files.parts(one.upload.id, 0, 10)).toEqual(one.parts)
      expect(await uploads.concatenate(ana, whole.id, good, T + 9)).toBe('done')
    })

    it('for one of two who want the same', async () => {
      const { uploads, ana } = await withOwners(make)
      const { upload, parts } = await pieceOf(uploads, ana, [3])
      const wholes = [await beginUpload(uploads, ana), await beginUpload(uploads, ana)]
      const answers = await Promise.all(
        wholes.map(({ id }) => uploads.concatenate(ana, id, placed([[upload, parts]]), T)),
      )
      expect(answers.sort()).toEqual(['done', 'stale'])
    })
  })

  describe(`${name} removes uploads`, () => {
    it('once, frees their bytes, and makes garbage of what they received', async () => {
      const { uploads, users, ledger, ana } = await withOwners(make)
      const [full, empty] = [await beginUpload(uploads, ana), await beginUpload(uploads, ana)]
      const parts = await received(uploads, ana, full.id, [3, 4])
      expect(await uploads.remove(ana, empty.id)).toBe(true)
      expect(await ledger.garbage(10)).toEqual([])
      const answers = await Promise.all([uploads.remove(ana, full.id), uploads.remove(ana, full.id)])
      expect(answers.sort()).toEqual([false, true])
      expect([await uploads.list(ana), (await users.usage(ana)).bytes]).toEqual([[], 0])
      const blobs = parts.map(({ blob }) => blob)
      expect(await ledger.garbage(10)).toEqual(blobs)
      expect(await ledger.garbage(10, [full.id])).toEqual(blobs)
      await ledger.forgetGarbage(blobs)
      expect([await ledger.garbage(10), await ledger.named(blobs)]).toEqual([[], []])
    })

    it('but not the files that they became', async () => {
      const { uploads, users, files, ledger, ana } = await withOwners(make)
      const { upload, parts } = await pieceOf(uploads, ana, [3, 4])
      const file = become(upload, 'film', 7)
      await files.commit(ana, file, null, null)
      expect(await uploads.remove(ana, upload.id)).toBe(true)
      expect(await uploads.remove(ana, upload.id)).toBe(false)
      expect([await ledger.garbage(10), await users.usage(ana)]).toEqual([[], { files: 1, trashFiles: 0, bytes: 7 }])
      expect(await files.parts(upload.id, 0, 10)).toEqual(parts)
      expect((await files.byId(file.id))?.file).toEqual(rowOf(file))
    })

    it('of all users that were not touched since, the oldest first, up to a limit', async () => {
      const { uploads, users, files, ledger, ana, ben } = await withOwners(make)
      const at = async (owner: string, touchedAt: number, sizes: number[]) => {
        const upload = await beginUpload(uploads, owner, { createdAt: T, touchedAt: T, sizeBytes: 7 })
        if (sizes.length > 0) await received(uploads, owner, upload.id, sizes, touchedAt)
        return upload
      }
      const old = await at(ben, T + 2, [2])
      const older = await at(ana, T + 1, [3, 4])
      const empty = await at(ana, T, [])
      const young = await at(ana, T + 9, [1])
      const complete = await at(ana, T + 3, [7])
      await files.commit(ana, become(complete, 'film', 7), null, null)

      expect(await uploads.expire(T - 1, 10, null)).toEqual({ removed: 0, versions: [] })
      expect(await uploads.expire(T + 3, 0, null)).toEqual({ removed: 0, versions: [] })
      expect(await uploads.expire(T + 3, 2, null)).toEqual({ removed: 2, versions: [older.id] })
      expect(await uploads.find(ana, empty.id)).toBeNull()
      expect((await users.usage(ana)).bytes).toBe(8)
      expect(await uploads.expire(T + 3, 10, null)).toEqual({ removed: 2, versions: [old.id] })
      expect([await uploads.find(ana, complete.id), (await users.usage(ben)).bytes]).toEqual([null, 0])
      expect((await uploads.list(ana)).map(({ id }) => id)).toEqual([young.id])
      expect(await ledger.garbage(10)).toHaveLength(3)
      expect(await files.parts(complete.id, 0, 10)).toHaveLength(1)
      expect(await uploads.expire(T + 9, 10, null)).toEqual({ removed: 1, versions: [young.id] })
      expect(await users.usage(ana)).toEqual({ files: 1, trashFiles: 0, bytes: 7 })
    })

    it('of one user that were not touched since, up to a limit', async () => {
      const { uploads, users, ana, ben } = await withOwners(make)
      const mine = [
        await beginUpload(uploads, ana, { touchedAt: T }),
        await beginUpload(uploads, ana, { touchedAt: T }),
      ]
      const bens = await beginUpload(uploads, ben, { touchedAt: T })
      await received(uploads, ana, mine[0]?.id as string, [3], T + 1)
      const young = await beginUpload(uploads, ana, { createdAt: T + 5, touchedAt: T + 5 })
      expect(await uploads.expire(T + 1, 1, ana)).toEqual({ removed: 1, versions: [] })
      expect(await uploads.expire(T + 1, 9, ana)).toEqual({ removed: 1, versions: [mine[0]?.id] })
      expect(await uploads.expire(T + 1, 9, ana)).toEqual({ removed: 0, versions: [] })
      expect((await users.usage(ana)).bytes).toBe(0)
      expect([await uploads.list(ana), await uploads.list(ben)]).toEqual([[young].map(listed), [bens].map(listed)])
    })

    it('with their user, and with all that they received', async () => {
      const { uploads, users, files, ledger, ana, ben } = await withOwners(make)
      const open = await beginUpload(uploads, ana)
      const parts = await received(uploads, ana, open.id, [3, 4])
      await beginUpload(uploads, ana)
      const { upload: complete } = await pieceOf(uploads, ana, [5])
      await files.commit(ana, become(complete, 'film', 5), null, null)
      const bens = await beginUpload(uploads, ben)
      await received(uploads, ben, bens.id, [1])
      await users.remove(ana)

      const seen = { ...open, offset: 7 }
      const change = { sizeBytes: null, at: T, quotaBytes: null }
      expect(await uploads.append(ana, seen, newPart(7, 1), change)).toBe('stale')
      expect(await files.commit(ana, become(open, 'late', 7), null, null)).toBe('gone')
      const cleared: string[] = []
      let rows = 0
      for (let removed = 1; removed > 0; ) {
        const step = await users.clearOut(ana, 1)
        removed = step.removed
        expect(removed).toBeLessThan(2)
        rows += removed
        cleared.push(...step.versions)
      }
      // The file, and the three uploads. One of them has no parts, and one became the file.
      expect(rows).toBe(4)
      expect(cleared.sort()).toEqual([open.id, complete.id].sort())
      expect([await uploads.list(ana), await uploads.find(ana, complete.id)]).toEqual([[], null])
      expect((await ledger.garbage(10)).sort()).toEqual(
        [...parts.map(({ blob }) => blob), ...(await files.parts(complete.id, 0, 9)).map(({ blob }) => blob)].sort(),
      )
      expect(await users.forget(ana)).toBe(true)
      expect(await uploads.list(ben)).toHaveLength(1)
      expect(await uploads.append(ana, seen, newPart(7, 1), change)).toBe('stale')
    })

    it('of a user in one step with the files, where the limit allows both', async () => {
      const { uploads, users, files, ledger, ana } = await withOwners(make)
      const file = newFile('a')
      await files.commit(ana, file, null, null)
      const open = await beginUpload(uploads, ana)
      await received(uploads, ana, open.id, [3])
      await users.remove(ana)
      expect((await users.clearOut(ana, 10)).versions.sort()).toEqual([file.version, open.id].sort())
      expect(await ledger.garbage(10)).toHaveLength(2)
      expect(await users.clearOut(ana, 10)).toEqual({ removed: 0, versions: [] })
    })
  })

  describe(`${name} makes a file of an upload`, () => {
    it('with the parts that it has, and counts no byte twice', async () => {
      const { uploads, users, files, ledger, ana } = await withOwners(make)
      const { upload, parts } = await pieceOf(uploads, ana, [3, 4])
      const file = become(upload, 'film', 7)
      expect(await files.commit(ana, file, null, { bytes: 7, files: 1 })).toBe('done')
      expect((await files.snapshot(ana, 'film'))?.file).toEqual(rowOf(file))
      expect(await files.parts(upload.id, 0, 10)).toEqual(parts)
      const complete = { fileId: file.id, fileName: 'film' }
      expect(await uploads.find(ana, upload.id)).toEqual({ ...upload, offset: 7, parts: 2, ...complete })
      expect(await uploads.list(ana)).toEqual([])
      const used = { files: 1, trashFiles: 0, bytes: 7 }
      expect((await users.audit('', 10)).find(({ id }) => id === ana)).toEqual({ id: ana, counted: used, actual: used })
      expect(await ledger.garbage(10)).toEqual([])
    })

    it('also where its run is over by then', async () => {
      const { uploads, files, ledger, ana } = await withOwners(make)
      const { upload } = await pieceOf(uploads, ana, [3])
      await ledger.openRun('run-2', T, [])
      await ledger.endedRuns('run-2')
      expect(await files.commit(ana, become(upload, 'film', 3), null, null)).toBe('done')
    })

    it('only of its owner, with its size, once', async () => {
      const { uploads, users, files, ana, ben } = await withOwners(make)
      const { upload } = await pieceOf(uploads, ana, [3, 4])
      const file = become(upload, 'film', 7)
      for (const [owner, wrong, answer] of [
        [ben, file, 'upload-gone'],
        [ana, { ...file, sizeBytes: 3 }, 'upload-gone'],
        [ana, { ...file, sizeBytes: 8 }, 'upload-gone'],
        [ana, { ...file, version: 'none' }, 'upload-gone'],
        ['nobody', file, 'gone'],
        ['nobody', { ...file, version: 'none' }, 'gone'],
      ] as const) {
        expect(await files.commit(owner, wrong, null, null)).toBe(answer)
      }
      expect(await uploads.list(ana)).toHaveLength(1)
      const answers = await Promise.all([
        files.commit(ana, file, null, null),
        files.commit(ana, { ...file, id: random(), name: 'other' }, null, null),
      ])
      expect(answers.sort()).toEqual(['done', 'upload-gone'])
      expect(await names(files, ana, {})).toHaveLength(1)
      expect((await users.usage(ana)).bytes).toBe(7)
      expect(await files.commit(ana, { ...file, id: random(), name: 'again' }, null, null)).toBe('upload-gone')
    })

    it('nothing that was removed at the same moment', async () => {
      const { uploads, users, files, ledger, ana } = await withOwners(make)
      const { upload } = await pieceOf(uploads, ana, [3])
      const [answer] = await Promise.all([
        files.commit(ana, become(upload, 'film', 3), null, null),
        uploads.remove(ana, upload.id),
      ])
      const isFile = answer === 'done'
      expect([await ledger.garbage(10), (await users.usage(ana)).bytes]).toEqual(
        isFile ? [[], 3] : [[expect.any(String)], 0],
      )
      expect(await names(files, ana, {})).toEqual(isFile ? ['film'] : [])
    })

    it('in place of the version that the caller saw, which goes to the trash or is garbage', async () => {
      const { uploads, users, files, trash, ledger, ana } = await withOwners(make)
      const former = sized('film', 10)
      await files.commit(ana, former, null, null)
      const [one, two] = [await pieceOf(uploads, ana, [3]), await pieceOf(uploads, ana, [4])]
      const first = { ...become(one.upload, 'film', 3), id: former.id }
      expect(await files.commit(ana, first, 'another', null)).toBe('stale')
      expect((await uploads.find(ana, one.upload.id))?.fileId).toBeNull()
      const entry = { id: random(), seal: randomBytes(105), deletedAt: T }
      expect(await files.commit(ana, first, former.version, { bytes: 17, files: 2 }, entry)).toBe('done')
      expect(await trash.find(ana, entry.id)).toMatchObject({ version: former.version, sizeBytes: 10 })
      expect(await users.usage(ana)).toEqual({ files: 1, trashFiles: 1, bytes: 17 })

      const second = { ...become(two.upload, 'film', 4), id: former.id }
      expect(await files.commit(ana, second, first.version, null)).toBe('done')
      expect(await users.usage(ana)).toEqual({ files: 1, trashFiles: 1, bytes: 14 })
      expect(await ledger.garbage(10)).toEqual(one.parts.map(({ blob }) => blob))
      expect((await standing(files, ana, 'film'))?.version).toBe(two.upload.id)
      expect(await uploads.find(ana, one.upload.id)).toMatchObject({ fileId: former.id, fileName: 'film' })
      expect(await uploads.remove(ana, one.upload.id)).toBe(true)
      expect(await ledger.garbage(10)).toHaveLength(1)
    })

    it('within the number of files, and with bytes that the quota has allowed already', async () => {
      const { uploads, users, files, ana } = await withOwners(make)
      const { upload } = await pieceOf(uploads, ana, [5])
      await files.commit(ana, sized('file', 10), null, null)
      const file = become(upload, 'film', 5)
      expect(await files.commit(ana, file, null, { bytes: 1, files: 1 })).toBe('quota-files')
      expect((await uploads.find(ana, upload.id))?.fileId).toBeNull()
      expect(await files.commit(ana, file, null, { bytes: 1, files: 2 })).toBe('done')
      expect(await users.usage(ana)).toEqual({ files: 2, trashFiles: 0, bytes: 15 })
    })

    it('from its bytes, which are garbage then and count for nothing', async () => {
      const { uploads, users, files, ledger, ana, ben } = await withOwners(make)
      const { upload, parts } = await pieceOf(uploads, ana, [40, 20])
      await files.commit(ana, sized('old', 10), null, null)
      const [file, source] = [sized('film', 50), { upload: upload.id, received: 60 }]
      for (const [owner, wrong] of [
        [ana, { ...source, received: 59 }],
        [ana, { ...source, upload: 'none' }],
        [ben, source],
      ] as const) {
        expect(await files.commit(owner, file, null, null, null, wrong)).toBe('upload-gone')
      }
      expect(await files.commit(ana, file, null, { bytes: 59, files: MOST }, null, source)).toBe('quota')
      expect(await files.commit(ana, file, null, { bytes: 60, files: 1 }, null, source)).toBe('quota-files')
      expect(await uploads.list(ana)).toHaveLength(1)
      const limits = { bytes: 60, files: 2 }
      const both = [file, sized('b', 50)]
      const outcomes = await Promise.all(both.map((one) => files.commit(ana, one, null, limits, null, source)))
      expect(outcomes.toSorted()).toEqual(['done', 'upload-gone'])
      const stored = both[outcomes.indexOf('done')]
      const used = { files: 2, trashFiles: 0, bytes: 60 }
      expect((await users.audit('', 10)).find(({ id }) => id === ana)).toEqual({ id: ana, counted: used, actual: used })
      expect(await uploads.find(ana, upload.id)).toMatchObject({
        fileId: stored?.id,
        fileName: stored?.name,
        offset: 60,
      })
      const blobs = parts.map(({ blob }) => blob)
      expect(await ledger.garbage(10)).toEqual(blobs)
      expect(await uploads.remove(ana, upload.id)).toBe(true)
      expect([await ledger.garbage(10), await users.usage(ana)]).toEqual([blobs, used])
    })

    it('whose date is later than that of every content which the name had', async () => {
      const { uploads, files, ana } = await withOwners(make)
      const former = newFile('film')
      await files.commit(ana, former, null, null)
      await files.discard(ana, former, T)
      const { upload } = await pieceOf(uploads, ana, [5])
      await files.commit(ana, become(upload, 'film', 5), null, null)
      expect((await standing(files, ana, 'film'))?.namedAt).toBe(T + 1000)
    })
  })

  describe(`${name} answers to extreme values of uploads`, () => {
    it('nothing, for what is not there', async () => {
      const { uploads, ana } = await withOwners(make)
      const upload = await beginUpload(uploads, ana)
      const change = { sizeBytes: null, at: T, quotaBytes: null }
      for (const text of ODD) {
        const moved = placed([[{ ...upload, id: text }, [newPart(0, 1)]]])
        expect([await uploads.find(ana, text), await uploads.find(text, upload.id)]).toEqual([null, null])
        expect([await uploads.claim(ana, text), await uploads.claim(text, upload.id)]).toEqual([null, null])
        expect([await uploads.list(text), await uploads.create(text, newUpload(), MANY)]).toEqual([[], 'gone'])
        expect(await uploads.append(ana, { ...upload, id: text }, newPart(0, 1), change)).toBe('stale')
        expect(await uploads.append(ana, upload, { ...newPart(0, 1), blob: text }, change)).toBe('run-ended')
        expect(await uploads.concatenate(ana, upload.id, moved, T)).toBe('stale')
        expect(await uploads.concatenate(ana, text, moved, T)).toBe('stale')
        expect([await uploads.remove(ana, text), await uploads.remove(text, upload.id)]).toEqual([false, false])
        await uploads.page(text, 10)
      }
      expect(await uploads.list(ana)).toEqual([upload].map(listed))
    })

    it('what it was given: texts of any script and length, and no bytes', async () => {
      const { uploads, ana } = await withOwners(make)
      const odd = [
        { id: '~-_', name: '\u{10ffff}'.repeat(63), contentType: 'x'.repeat(255), terms: '{"a":"\\u0000\\ud800"}' },
        { id: '\ufffd', name: '', contentType: '', terms: "'; DROP TABLE uploads --", seal: Buffer.alloc(0) },
        { name: 'a\nb', terms: 'é'.repeat(100_000), seal: randomBytes(1000) },
      ]
      const all = []
      for (const fields of odd) all.push(await beginUpload(uploads, ana, fields))
      for (const upload of all) expect(await uploads.find(ana, upload.id)).toEqual(upload)
    })

    it('the largest sizes and any times, exactly', async () => {
      const { uploads, users, files, ana } = await withOwners(make)
      const upload = await beginUpload(uploads, ana, { sizeBytes: MOST, createdAt: -MOST, touchedAt: -MOST })
      const change = { sizeBytes: null, quotaBytes: MOST }
      expect(await uploads.append(ana, upload, newPart(0, MOST - 1), { ...change, at: MOST })).toBe('done')
      const seen = { ...upload, offset: MOST - 1 }
      expect(await uploads.append(ana, seen, newPart(MOST - 1, 2), { ...change, at: MOST })).toBe('quota')
      const last = newPart(MOST - 1, 1)
      expect(await uploads.append(ana, seen, last, { ...change, at: MOST })).toBe('done')
      const whole = { ...upload, offset: MOST, parts: 2, touchedAt: MOST }
      expect(await uploads.find(ana, upload.id)).toEqual(whole)
      expect(await files.parts(upload.id, MOST - 1, 10)).toEqual([last])
      expect((await users.usage(ana)).bytes).toBe(MOST)
      expect([await uploads.expire(-MOST, 10, null), await uploads.expire(MOST - 1, 10, null)]).toEqual(
        Array(2).fill({ removed: 0, versions: [] }),
      )
      const joined = await beginUpload(uploads, ana)
      const moved = placed([[upload, await files.parts(upload.id, 0, 10)]])
      expect(await uploads.concatenate(ana, joined.id, moved, MOST)).toBe('done')
      expect(await files.commit(ana, become(joined, 'film', MOST), null, { bytes: 0, files: 1 })).toBe('done')
      expect(await uploads.expire(MOST, 10, null)).toEqual({ removed: 1, versions: [] })
      expect(await users.usage(ana)).toEqual({ files: 1, trashFiles: 0, bytes: MOST })
    })

    it('one upload of very many parts', async () => {
      const { uploads, files, ana } = await withOwners(make)
      const { upload, parts } = await pieceOf(uploads, ana, Array(300).fill(1))
      const whole = await beginUpload(uploads, ana)
      expect(await uploads.concatenate(ana, whole.id, placed([[upload, parts]]), T)).toBe('done')
      expect(await files.parts(whole.id, 0, 1000)).toHaveLength(300)
      expect(await uploads.concatenate(ana, (await beginUpload(uploads, ana)).id, [], T)).toBe('done')
    })
  })
}

function newUpload(fields: Partial<Upload> = {}): Upload {
  return {
    id: random(),
    name: 'beach.jpg',
    contentType: null,
    sizeBytes: null,
    offset: 0,
    parts: 0,
    onConflict: 'fail',
    protocol: 'tus',
    terms: '{}',
    seal: randomBytes(61),
    createdAt: T,
    touchedAt: T,
    claim: 0,
    fileId: null,
    fileName: null,
    ...fields,
  }
}

export async function beginUpload(
  uploads: UploadRepository,
  owner: string,
  fields: Partial<Upload> = {},
  most = MANY,
): Promise<Upload> {
  const upload = newUpload(fields)
  expect(await uploads.create(owner, upload, most)).toBe('done')
  return upload
}

/** As it is in a list. */
function listed({ terms: _terms, seal: _seal, ...upload }: Upload): ListedUpload {
  return upload
}

export function newPart(start: number, sizeBytes: number): Part {
  return { start, sizeBytes, blob: `run/${random()}`, seal: randomBytes(61) }
}

/** Appends parts of these sizes. */
async function received(uploads: UploadRepository, owner: string, id: string, sizes: number[], at = T) {
  const parts: Part[] = []
  for (const size of sizes) {
    const seen = (await uploads.find(owner, id)) as Upload
    const part = newPart(seen.offset, size)
    expect(await uploads.append(owner, seen, part, { sizeBytes: null, at, quotaBytes: null })).toBe('done')
    parts.push(part)
  }
  return parts
}

/** An upload that has all its bytes, in parts of these sizes. */
async function pieceOf(uploads: UploadRepository, owner: string, sizes: number[]) {
  const upload = await beginUpload(uploads, owner, { sizeBytes: sizes.reduce((sum, size) => sum + size, 0) })
  return { upload, parts: await received(uploads, owner, upload.id, sizes) }
}

/** All parts of these uploads, one after the other, from this place on. */
function placed(pieces: [Pick<Upload, 'id'>, Part[]][], from = 0): MovedPart[] {
  let start = from
  return pieces.flatMap(([{ id }, parts]) =>
    parts.map((part) => {
      const moved = { upload: id, from: part.start, start, seal: randomBytes(61) }
      start += part.sizeBytes
      return moved
    }),
  )
}

/** The file that an upload becomes. */
function become(upload: Pick<Upload, 'id'>, name: string, sizeBytes: number) {
  return { ...sized(name, sizeBytes), version: upload.id, blob: null }
}

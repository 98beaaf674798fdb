/** The contract of every database for dates taken, and for the changes of a user's files. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { ChangeQuery } from '../../src/ports/changes.ts'
import { names, newFile, type Repositories, T, withOwners } from './rows.ts'

const EVERYTHING: ChangeQuery = { after: 0, goneAfter: 0, limit: 100 }

export function changesContract(name: string, make: () => Promise<Repositories>) {
  describe(`${name} keeps when contents were made`, () => {
    it('and lists by it, with the date of creation for a file without one', async () => {
      const { files, ana } = await withOwners(make)
      const taken = { old: T - 9000, none: null, new: T + 9000, before: -5_000_000_000_000 }
      for (const [name, takenAt] of Object.entries(taken)) {
        await files.commit(ana, { ...newFile(name), takenAt, takenOffset: takenAt === null ? 0 : -90 }, null, null)
      }
      for (const limit of [1, 3]) {
        expect(await names(files, ana, { sort: 'takenAt', limit })).toEqual(['before', 'old', 'none', 'new'])
        expect(await names(files, ana, { sort: 'takenAt', order: 'desc', limit })).toEqual([
          'new',
          'none',
          'old',
          'before',
        ])
      }
      const first = await files.scan(ana, { prefix: 'n', sort: 'takenAt', order: 'asc', after: null, limit: 10 }, 3)
      expect(first.found.map(({ name }) => name)).toEqual(['none'])
      expect(first.last).toEqual({ key: T, id: first.found[0]?.id })
      expect((await files.snapshot(ana, 'old'))?.file).toMatchObject({ takenAt: T - 9000, takenOffset: -90 })
    })

    it('and keeps it with the same content again, unless another is given', async () => {
      const { files, ana } = await withOwners(make)
      const file = newFile('a')
      await files.commit(ana, file, null, null)
      const again = { ...newFile('a'), id: file.id, tag: file.tag }
      // The edit comes after the upload has read the row, and before it commits.
      await files.edit(ana, file, { name: null, taken: { takenAt: 5, takenOffset: 60 } }, T)
      expect(await files.commit(ana, again, file.version, null)).toBe('done')
      expect((await files.snapshot(ana, 'a'))?.file).toMatchObject({ takenAt: 5, takenOffset: 60 })
      const dated = { ...again, version: 'third', blob: 'run/third', takenAt: 7, takenOffset: -60 }
      expect(await files.commit(ana, dated, again.version, null)).toBe('done')
      expect((await files.snapshot(ana, 'a'))?.file).toMatchObject({ takenAt: 7, takenOffset: -60 })
      expect(await names(files, ana, { sort: 'takenAt' })).toEqual(['a'])
    })

    it('changes it with a new version, alone, and with the name', async () => {
      const { files, trash, ana } = await withOwners(make)
      const file = { ...newFile('a'), takenAt: 1, takenOffset: 60 }
      await files.commit(ana, file, null, null)
      const other = { ...newFile('a'), id: file.id, takenAt: null, takenOffset: 0, updatedAt: T + 1 }
      const entry = { id: 'entry', seal: file.seal, deletedAt: T }
      expect(await files.commit(ana, other, file.version, null, entry)).toBe('done')
      expect((await trash.find(ana, 'entry'))?.takenAt).toBe(1)
      expect(await names(files, ana, { sort: 'takenAt' })).toEqual(['a'])

      const taken = { takenAt: 5, takenOffset: -30 }
      expect(await files.edit(ana, other, { name: null, taken }, T)).toBe('done')
      expect((await files.snapshot(ana, 'a'))?.file).toMatchObject({ ...taken, name: 'a', namedAt: expect.any(Number) })
      await files.commit(ana, newFile('b'), null, null)
      expect(await files.edit(ana, other, { name: 'b', taken: { takenAt: 6, takenOffset: 0 } }, T)).toBe('taken')
      expect((await files.snapshot(ana, 'a'))?.file).toMatchObject(taken)
      expect(await files.edit(ana, other, { name: 'c', taken: { takenAt: null, takenOffset: 0 } }, T)).toBe('done')
      expect((await files.snapshot(ana, 'c'))?.file).toMatchObject({ takenAt: null, takenOffset: 0 })
      expect(await files.edit(ana, { ...other, version: 'another' }, { name: null, taken }, T)).toBe('stale')
    })
  })

  describe(`${name} numbers the changes of live files`, () => {
    it('each with the next number, and has each file once', async () => {
      const { files, trash, changes, ana, ben } = await withOwners(make)
      const feed = async (query: Partial<ChangeQuery> = {}) =>
        (await changes.page(ana, { ...EVERYTHING, ...query }))?.changes.map((change) => [
          change.revision,
          'file' in change ? change.file.name : change.gone,
        ])
      const [a, b] = [newFile('a'), newFile('b')]
      await files.commit(ana, a, null, null)
      await files.commit(ben, newFile('bens'), null, null)
      await files.commit(ana, b, null, null)
      expect(await feed()).toEqual([
        [1, 'a'],
        [2, 'b'],
      ])
      await files.edit(ana, a, { name: 'aa', taken: null }, T)
      await files.discard(ana, b, T + 1)
      const gone = { id: b.id, at: T + 1 }
      expect(await feed()).toEqual([
        [3, 'aa'],
        [4, gone],
      ])
      expect(await feed({ limit: 1 })).toEqual([[3, 'aa']])
      expect(await feed({ after: 3 })).toEqual([[4, gone]])
      expect(await feed({ goneAfter: 4 })).toEqual([[3, 'aa']])

      await trash.restore(ana, b, 'b', T + 2)
      expect(await feed()).toEqual([
        [3, 'aa'],
        [5, 'b'],
      ])
      const next = { ...newFile('b'), id: b.id, updatedAt: T + 3 }
      await files.commit(ana, next, b.version, null, { id: 'entry', seal: b.seal, deletedAt: T })
      await files.edit(ana, next, { name: null, taken: { takenAt: 1, takenOffset: 0 } }, T)
      await trash.remove(ana, 'entry')
      expect(await feed({ after: 3 })).toEqual([[7, 'b']])
      expect(await changes.page(ana, { ...EVERYTHING, after: 7 })).toMatchObject({
        latest: 7,
        forgotten: 0,
        changes: [],
      })
      expect((await changes.page(ben, EVERYTHING))?.latest).toBe(1)
      expect(await changes.page('nobody', EVERYTHING)).toBeNull()
    })

    it('in the order of the commits, for a reader beside many writers', async () => {
      const { files, changes, ana } = await withOwners(make)
      const all = Array.from({ length: 40 }, (_, n) => newFile(`file-${n}`))
      let left = all.length
      const writing = all.map(async (file, n) => {
        await files.commit(ana, file, null, null)
        if (n % 3 === 0) await files.discard(ana, file, T)
        if (n % 3 === 1) await files.edit(ana, file, { name: `other-${n}`, taken: null }, T)
        left -= 1
      })
      const has = new Set<string>()
      let after = 0
      for (let isLast = false; ; ) {
        // SQLite answers without a turn of the event loop, and the writers would never have theirs.
        await nextTurn()
        isLast = left === 0
        const page = await changes.page(ana, { after, goneAfter: 0, limit: 7 })
        const numbers = page?.changes.map(({ revision }) => revision) ?? []
        expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b))
        for (const change of page?.changes ?? []) {
          if ('file' in change) has.add(change.file.name.replace('file-', '').replace('other-', ''))
          else has.delete(String(all.findIndex(({ id }) => id === change.gone.id)))
        }
        after = numbers.at(-1) ?? after
        if (isLast && numbers.length === 0) break
      }
      await Promise.all(writing)
      expect([...has].map(Number).sort((a, b) => a - b)).toEqual(all.map((_, n) => n).filter((n) => n % 3 !== 0))
    })

    it('and forgets old ones about files that are gone', async () => {
      const { files, users, trash, changes, ana, ben } = await withOwners(make)
      const all = ['1', '2', '3', '4'].map(newFile)
      for (const file of all) await files.commit(ana, file, null, null)
      for (const [n, file] of all.entries()) await files.discard(ana, file, T + n)
      const bens = newFile('bens')
      await files.commit(ben, bens, null, null)
      await files.discard(ben, bens, T)
      expect(await changes.forget(T - 1, 10)).toBe(0)
      expect((await changes.forget(T + 2, 3)) + (await changes.forget(T + 2, 3))).toBe(4)
      expect(await changes.page(ana, EVERYTHING)).toMatchObject({
        latest: 8,
        forgotten: 7,
        changes: [{ revision: 8, gone: { id: all[3]?.id, at: T + 3 } }],
      })
      expect((await changes.page(ben, EVERYTHING))?.forgotten).toBe(2)

      await trash.remove(ana, all[3]?.id ?? '')
      expect((await changes.page(ana, EVERYTHING))?.changes).toHaveLength(1)
      await users.remove(ana)
      let removed = 0
      for (let more = 1; more > 0; removed += more) more = (await users.clearOut(ana, 2)).removed
      // Three trash entries, and the record of one file that is gone.
      expect(removed).toBe(4)
    })
  })
}

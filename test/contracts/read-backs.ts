/** The contract of every database for looking contents up, and for the times of read-backs. */
import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { SealedTrash } from '../../src/ports/files.ts'
import { newFile, type Repositories, rowOf, T, type WholeFile, withOwners } from './rows.ts'

const ALWAYS = { from: 0, before: Number.MAX_SAFE_INTEGER }

export function readBacksContract(name: string, make: () => Promise<Repositories>) {
  describe(`${name} finds contents by their tags`, () => {
    it('live and in the trash, of their owner alone', async () => {
      const { files, ana, ben } = await withOwners(make)
      const tag = randomBytes(16)
      const [live, binned, another, bens] = ['live', 'binned', 'another', 'bens'].map((name) => ({
        ...newFile(name),
        ...(name !== 'another' && { tag }),
      })) as [WholeFile, WholeFile, WholeFile, WholeFile]
      for (const file of [live, binned, another]) await files.commit(ana, file, null, null)
      await files.commit(ben, bens, null, null)
      await files.discard(ana, binned, T)
      const found = async (tags: Buffer[], limit = 10) => {
        const rows = await files.withTags(ana, tags, limit)
        return rows.sort((a, b) => (a.name < b.name ? -1 : 1))
      }
      const entryOf = (
        { id, name, sizeBytes, version, seal, tag, verifiedAt }: WholeFile,
        deletedAt: number | null,
      ) => ({
        ...{ id, name, sizeBytes, version, seal, tag, verifiedAt },
        deletedAt,
      })
      const expected = [entryOf(another, null), entryOf(binned, T), entryOf(live, null)]
      expect(await found([tag, another.tag as Buffer, randomBytes(16)])).toEqual(expected)
      expect(await found([tag])).toEqual(expected.slice(1))
      expect(await found([tag], 1)).toHaveLength(1)
      expect(await found([tag, another.tag as Buffer], 2)).toHaveLength(2)
      expect(await found([])).toEqual([])
    })

    it('in the trash page by page, also entries of the same moment', async () => {
      const { files, trash, ana } = await withOwners(make)
      const tag = randomBytes(16)
      const times = [T + 1, T, T, T, T + 2, T]
      for (const [n, at] of times.entries()) {
        const file = { ...newFile(n % 2 === 0 ? 'a' : 'b'), tag }
        await files.commit(ana, file, null, null)
        await files.discard(ana, file, at)
      }
      await files.commit(ana, { ...newFile('live'), tag }, null, null)
      const seen: SealedTrash[] = []
      for (let after: SealedTrash | null = null; ; after = seen.at(-1) ?? null) {
        const page: SealedTrash[] = await trash.tagged(ana, tag, after, 2)
        seen.push(...page)
        if (page.length < 2) break
      }
      expect(seen.map(({ deletedAt, name }) => [deletedAt, name])).toEqual([
        [T, 'a'],
        [T, 'b'],
        [T, 'b'],
        [T, 'b'],
        [T + 1, 'a'],
        [T + 2, 'a'],
      ])
      expect(new Set(seen.map(({ id }) => id)).size).toBe(6)
    })
  })

  describe(`${name} keeps when files were read back`, () => {
    it('of the version that was read, and changes nothing else', async () => {
      const { files, changes, ana } = await withOwners(make)
      const file = newFile('a')
      await files.commit(ana, file, null, null)
      const { id, version } = file
      const before = await changes.page(ana, { after: 0, goneAfter: 0, limit: 10 })
      await files.recordReadBacks([
        { id, version: 'another', at: T + 1, opened: true },
        { id: 'none', version, at: T + 1, opened: true },
      ])
      expect((await files.byId(id))?.file.verifiedAt).toBeNull()
      await files.recordReadBacks([{ id, version, at: T + 5, opened: true }])
      expect(await files.byId(id)).toEqual({ owner: ana, file: { ...rowOf(file), verifiedAt: T + 5 } })
      expect((await changes.page(ana, { after: 0, goneAfter: 0, limit: 10 }))?.latest).toBe(before?.latest)
      // After the clock was set back.
      await files.recordReadBacks([{ id, version, at: T + 2, opened: true }])
      expect((await files.byId(id))?.file.verifiedAt).toBe(T + 2)

      const next = { ...newFile('a'), id }
      const entry = { id: 'entry', seal: randomBytes(105), deletedAt: T }
      await files.commit(ana, next, version, null, entry)
      expect((await files.byId(id))?.file.verifiedAt).toBeNull()
      expect((await files.byId('entry'))?.file.verifiedAt).toBe(T + 2)
    })

    it('and those that did not open, in the order of the last attempt', async () => {
      const { files, ana, ben } = await withOwners(make)
      const [a, b, c] = [newFile('a'), newFile('b'), newFile('c')]
      for (const file of [a, b]) await files.commit(ana, file, null, null)
      await files.commit(ben, c, null, null)
      await files.discard(ben, c, T)
      const order = async (range = ALWAYS, limit = 10) =>
        (await files.readBack(range, limit)).map(({ owner, file, at, failed }) => [owner, file.name, at, failed])
      const mark = ({ id, version }: WholeFile, at: number, opened: boolean) =>
        files.recordReadBacks([{ id, version, at, opened }])
      expect((await order()).map(([, , at, failed]) => [at, failed])).toEqual(Array(3).fill([0, false]))
      await mark(b, T + 3, true)
      await mark(a, T + 2, true)
      await mark(c, T + 1, false)
      expect(await order()).toEqual([
        [ben, 'c', T + 1, true],
        [ana, 'a', T + 2, false],
        [ana, 'b', T + 3, false],
      ])
      expect(await order({ from: T + 2, before: T + 3 })).toEqual([[ana, 'a', T + 2, false]])
      expect(await order(ALWAYS, 1)).toHaveLength(1)
      expect(await files.countReadBack(T + 2)).toEqual({ count: 2, bytes: a.sizeBytes + b.sizeBytes })
      expect(await files.countReadBack(T + 4)).toEqual({ count: 0, bytes: 0 })

      await mark(a, T + 9, false)
      expect((await files.byId(a.id))?.file.verifiedAt).toBe(T + 2)
      expect((await order()).at(-1)).toEqual([ana, 'a', T + 9, true])
      await mark(a, T + 10, true)
      expect((await order()).at(-1)).toEqual([ana, 'a', T + 10, false])
      await mark(a, T + 11, false)
      await files.commit(ana, { ...newFile('a'), id: a.id }, a.version, null)
      expect((await order())[0]).toEqual([ana, 'a', 0, false])
    })

    it('and sums up what all users have', async () => {
      const { files, users, ana, ben } = await withOwners(make)
      expect(await users.total()).toEqual({ files: 0, trashFiles: 0, bytes: 0 })
      const [a, b] = [newFile('a'), newFile('b')]
      await files.commit(ana, a, null, null)
      await files.commit(ben, b, null, null)
      await files.discard(ben, b, T)
      expect(await users.total()).toEqual({ files: 1, trashFiles: 1, bytes: a.sizeBytes + b.sizeBytes })
    })
  })
}

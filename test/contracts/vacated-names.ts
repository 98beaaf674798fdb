/** The contract of every database for the dates of vacated names: the next date of such a name, and when it is deleted. */
import { describe, expect, it } from 'vitest'
import type { FileRepository, NewFile, SealedFile } from '../../src/ports/files.ts'
import { newFile, type Repositories, random, standing, T, withOwners } from './rows.ts'

/** `T` is the first moment of a second. */
const SECOND_AFTER_T = T + 1000

export function vacatedNamesContract(name: string, make: () => Promise<Repositories>) {
  describe(`${name} keeps the dates of vacated names, and`, () => {
    it('gives names that were never used the date of now, however many names were vacated in that second', async () => {
      const { files, trash, ana } = await withOwners(make)
      for (let n = 0; n < 40; n += 1) {
        const file = newFile(`before-${n}`)
        await files.commit(ana, file, null, null)
        await files.edit(ana, file, { name: `after-${n}`, taken: null }, T)
      }
      const discarded = newFile('discarded')
      await files.commit(ana, discarded, null, null)
      await files.discard(ana, discarded, T)
      await files.commit(ana, newFile('new'), null, null)
      await trash.restore(ana, discarded, 'restored', T)
      for (const name of ['after-39', 'new', 'restored']) {
        expect((await standing(files, ana, name))?.namedAt, name).toBe(T)
      }
      await files.commit(ana, newFile('before-0'), null, null)
      expect((await standing(files, ana, 'before-0'))?.namedAt).toBe(SECOND_AFTER_T)
    })

    it('forgets the date of a vacated name once its second has passed, and no date is given again', async () => {
      const { files, ana, ben } = await withOwners(make)
      for (const owner of [ana, ana, ben]) await vacated(files, owner, newFile(random()), T + 999)
      expect(await files.forgetVacated(T + 999, 10)).toBe(0)
      expect(await files.forgetVacated(SECOND_AFTER_T, 2)).toBe(2)
      expect(await files.forgetVacated(SECOND_AFTER_T, 2)).toBe(1)
      expect(await files.forgetVacated(SECOND_AFTER_T, 2)).toBe(0)
      // The clock was set back.
      for (const owner of [ana, ben]) {
        await files.commit(owner, newFile('late'), null, null)
        expect((await standing(files, owner, 'late'))?.namedAt).toBe(SECOND_AFTER_T)
      }
    })

    it('keeps no date of its own for a name that is vacated in a later second, or taken again', async () => {
      const { files, trash, ana } = await withOwners(make)
      await vacated(files, ana, newFile('now'), T)
      const file = newFile('file')
      await vacated(files, ana, file, SECOND_AFTER_T)
      expect(await files.forgetVacated(SECOND_AFTER_T, 10)).toBe(0)
      // The clock was set back.
      await trash.restore(ana, file, 'file', T)
      expect((await standing(files, ana, 'file'))?.namedAt).toBe(SECOND_AFTER_T)
      await files.discard(ana, file, T)
      await trash.restore(ana, file, 'file', T)
      expect((await standing(files, ana, 'file'))?.namedAt).toBe(SECOND_AFTER_T + 1000)
      expect(await files.forgetVacated(T + 9000, 10)).toBe(0)
    })

    it('keeps dates of a bounded number of names, whatever the clock says', async () => {
      const { files, ana } = await withOwners(make)
      const all = Array.from({ length: 501 }, (_, n) => newFile(`file-${n}`))
      // All at once would wait too long for their turn in a busy database.
      for (let at = 0; at < all.length; at += 50) {
        await Promise.all(all.slice(at, at + 50).map((file) => vacated(files, ana, file, T)))
      }
      await files.commit(ana, newFile('file-1'), null, null)
      expect((await standing(files, ana, 'file-1'))?.namedAt).toBe(SECOND_AFTER_T)
      await files.commit(ana, newFile('new'), null, null)
      expect((await standing(files, ana, 'new'))?.namedAt).toBe(SECOND_AFTER_T)
      expect(await files.forgetVacated(SECOND_AFTER_T, 1000)).toBeLessThanOrEqual(401)
    })

    it('forgets the dates with their user', async () => {
      const { files, users, ana } = await withOwners(make)
      await vacated(files, ana, newFile('file'), T)
      expect(await users.remove(ana)).toBe(true)
      expect(await files.forgetVacated(SECOND_AFTER_T, 10)).toBe(0)
    })

    it('lets no two contents come to a name in one second, wherever the clock goes', async () => {
      const { files, trash, ana } = await withOwners(make)
      const names = ['a', 'b', 'c']
      const live = new Map<string, SealedFile>()
      const discards: SealedFile[] = []
      const seconds = new Map<string, number>()
      for (let n = 0; n < 300; n += 1) {
        const at = T + n * 300 + Math.floor(Math.random() * 3000)
        const [name, other] = [anyOf(names), anyOf(names)]
        const current = live.get(name)
        const discarded = discards.at(-1)
        const sweep = n % 3 === 0 ? files.forgetVacated(at, 2) : null
        const taken = await step()
        await sweep
        if (taken === null) continue
        const { namedAt } = (await standing(files, ana, taken)) as SealedFile
        const second = Math.floor(namedAt / 1000)
        expect(second, `step ${n}`).toBeGreaterThan(seconds.get(taken) ?? 0)
        seconds.set(taken, second)

        /** Returns the name that a content got; `null` if no content got one. */
        async function step(): Promise<string | null> {
          const kind = anyOf(['commit', 'discard', 'rename', 'restore'] as const)
          if (kind === 'commit') {
            const file = { ...newFile(name), ...(current && { id: current.id }), updatedAt: T + n, namedAt: at }
            expect(await files.commit(ana, file, current?.version ?? null, null)).toBe('done')
            live.set(name, file)
            return name
          }
          if (kind === 'restore' && discarded && !current) {
            expect(await trash.restore(ana, discarded, name, at)).toBe('done')
            discards.pop()
            live.set(name, { ...discarded, name })
            return name
          }
          if (kind === 'discard' && current) {
            expect(await files.discard(ana, current, at)).toBe('done')
            live.delete(name)
            discards.push(current)
          }
          if (kind === 'rename' && current && !live.has(other)) {
            expect(await files.edit(ana, current, { name: other, taken: null }, at)).toBe('done')
            live.delete(name)
            live.set(other, { ...current, name: other })
            return other
          }
          return null
        }
      }
    })
  })
}

/** Vacates the name of a new file. */
async function vacated(files: FileRepository, owner: string, file: NewFile, at: number) {
  expect(await files.commit(owner, file, null, null)).toBe('done')
  expect(await files.discard(owner, file, at)).toBe('done')
}

function anyOf<T>(choices: readonly T[]): T {
  return choices[Math.floor(Math.random() * choices.length)] as T
}

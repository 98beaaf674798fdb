/** The contract of every database for thumbnails. */
import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { Displaced, SealedFile } from '../../src/ports/files.ts'
import type { NewThumbnail } from '../../src/ports/thumbnails.ts'
import { newFile, type Repositories, random, sized, T, withOwners } from './rows.ts'

const FILE_BYTES = 1000

function newThumbnail(sizeBytes = 100): NewThumbnail {
  return { tag: random(), contentType: 'image/jpeg', sealed: randomBytes(sizeBytes + 29), sizeBytes }
}

const recordOf = ({ sizeBytes: _sizeBytes, ...record }: NewThumbnail) => record
const entry = (): Displaced => ({ id: random(), seal: randomBytes(105), deletedAt: T })

export function thumbnailsContract(name: string, make: () => Promise<Repositories>) {
  /** A file of Ana's, with a thumbnail. */
  async function withThumbnail(thumbnail = newThumbnail()) {
    const repositories = await withOwners(make)
    const { files, thumbnails, ana } = repositories
    const file = sized('beach.jpg', FILE_BYTES)
    await files.commit(ana, file, null, null)
    expect(await thumbnails.put(ana, file, thumbnail, null)).toBe('done')
    const seen: SealedFile = { ...file, thumbnail: thumbnail.tag, thumbnailBytes: thumbnail.sizeBytes }
    return { ...repositories, file, thumbnail, seen, ...looks(repositories) }
  }

  function looks({ files, thumbnails, users, changes, ana }: Repositories & { ana: string }) {
    return {
      found: (name = 'beach.jpg') => thumbnails.find(ana, name),
      tag: async (name = 'beach.jpg') => (await files.snapshot(ana, name))?.file?.thumbnail,
      /** As it is counted, and as the rows say. */
      async bytes() {
        const [audited] = (await users.audit('', 100)).filter(({ id }) => id === ana)
        expect(audited?.actual).toEqual(audited?.counted)
        return audited?.counted.bytes
      },
      revision: async () => (await changes.page(ana, { after: 0, goneAfter: 0, limit: 100 }))?.latest,
    }
  }

  describe(`${name} keeps thumbnails`, () => {
    it('with their file, and for their owner', async () => {
      const { thumbnails, files, keySlots, ana, ben, file, thumbnail, found } = await withThumbnail()
      const [slot] = await keySlots.find(ana)
      const { id, sizeBytes, seal } = file
      const { tag } = thumbnail
      expect(await found()).toEqual({
        slot,
        file: { id, sizeBytes, seal, thumbnail: tag, thumbnailBytes: 100 },
        thumbnail: recordOf(thumbnail),
      })
      expect((await files.snapshot(ana, 'beach.jpg'))?.file).toMatchObject({ thumbnail: tag, thumbnailBytes: 100 })
      expect(await thumbnails.byTag(ana, tag)).toEqual(recordOf(thumbnail))
      expect(await thumbnails.byTag(ben, tag)).toBeNull()
      expect(await thumbnails.byTag(ana, 'other')).toBeNull()
      expect(await thumbnails.find(ben, 'beach.jpg')).toMatchObject({ file: null, thumbnail: null })
      expect(await thumbnails.find('nobody', 'beach.jpg')).toBeNull()
    })

    it('and finds files without one', async () => {
      const { files, ana, found } = await withThumbnail()
      await files.commit(ana, newFile('hill.jpg'), null, null)
      expect(await found('hill.jpg')).toMatchObject({ file: { thumbnail: null, thumbnailBytes: 0 }, thumbnail: null })
      expect(await found('none.jpg')).toMatchObject({ file: null, thumbnail: null })
    })

    it('of any bytes, up to the largest', async () => {
      const thumbnail = { ...newThumbnail(256 * 1024), contentType: 'image/avif' }
      const { found } = await withThumbnail(thumbnail)
      const kept = (await found())?.thumbnail
      expect([kept?.contentType, kept?.sealed.equals(thumbnail.sealed)]).toEqual(['image/avif', true])
    })

    it('and replaces and deletes them', async () => {
      const { thumbnails, ana, seen, thumbnail, found, tag, bytes } = await withThumbnail()
      const other = newThumbnail(40)
      expect(await thumbnails.put(ana, seen, other, null)).toBe('done')
      expect((await found())?.thumbnail).toEqual(recordOf(other))
      expect(await thumbnails.byTag(ana, thumbnail.tag)).toBeNull()
      expect(await bytes()).toBe(FILE_BYTES + 40)
      expect(await thumbnails.remove(ana, { ...seen, thumbnail: other.tag })).toBe('done')
      expect(await found()).toMatchObject({ file: { thumbnail: null, thumbnailBytes: 0 }, thumbnail: null })
      expect(await thumbnails.byTag(ana, other.tag)).toBeNull()
      expect([await tag(), await bytes()]).toEqual([null, FILE_BYTES])
    })

    it('and changes none that the caller did not see', async () => {
      const { thumbnails, files, ana, ben, file, seen, thumbnail, found, bytes } = await withThumbnail()
      const unseen = [
        [ana, file],
        [ana, { ...seen, thumbnail: 'other' }],
        [ana, { ...seen, version: 'other' }],
        [ana, { ...seen, id: 'other' }],
        [ana, { ...seen, name: 'hill.jpg' }],
        [ben, seen],
        ['nobody', seen],
      ] as const
      for (const [owner, seen] of unseen) {
        expect(await thumbnails.put(owner, seen, newThumbnail(), null)).toBe('stale')
        expect(await thumbnails.remove(owner, seen)).toBe('stale')
      }
      expect((await found())?.thumbnail).toEqual(recordOf(thumbnail))
      await files.discard(ana, file, T)
      expect(await thumbnails.put(ana, seen, newThumbnail(), null)).toBe('stale')
      expect(await thumbnails.remove(ana, seen)).toBe('stale')
      expect(await thumbnails.byTag(ana, thumbnail.tag)).not.toBeNull()
      expect(await bytes()).toBe(FILE_BYTES + 100)
    })

    it('and takes one of many that come at once', async () => {
      const { thumbnails, ana, seen, tag, bytes } = await withThumbnail()
      const many = Array.from({ length: 10 }, (_, n) => newThumbnail(n + 1))
      const answers = await Promise.all(many.map((one) => thumbnails.put(ana, seen, one, null)))
      expect(answers.filter((answer) => answer === 'done')).toHaveLength(1)
      expect(answers.filter((answer) => answer === 'stale')).toHaveLength(9)
      const taken = many[answers.indexOf('done')]
      expect(await tag()).toBe(taken?.tag)
      expect(await bytes()).toBe(FILE_BYTES + (taken?.sizeBytes ?? 0))
      const kept = await Promise.all(many.map(({ tag }) => thumbnails.byTag(ana, tag)))
      expect(kept.filter((one) => one !== null)).toHaveLength(1)
    })

    it('within the quota, and a smaller one also beyond it', async () => {
      const { thumbnails, ana, seen, thumbnail, found, bytes } = await withThumbnail()
      expect(await thumbnails.put(ana, seen, newThumbnail(101), FILE_BYTES + 100)).toBe('quota')
      expect((await found())?.thumbnail).toEqual(recordOf(thumbnail))
      expect(await bytes()).toBe(FILE_BYTES + 100)
      const same = newThumbnail(100)
      expect(await thumbnails.put(ana, seen, same, 0)).toBe('done')
      const larger = newThumbnail(101)
      expect(await thumbnails.put(ana, { ...seen, thumbnail: same.tag }, larger, FILE_BYTES + 101)).toBe('done')
      expect(await bytes()).toBe(FILE_BYTES + 101)
    })

    it('and makes each change of them a change of the file', async () => {
      const { thumbnails, changes, ana, seen, revision } = await withThumbnail()
      expect(await revision()).toBe(2)
      expect(await thumbnails.put(ana, { ...seen, version: 'other' }, newThumbnail(), null)).toBe('stale')
      expect(await revision()).toBe(2)
      await thumbnails.remove(ana, seen)
      const page = await changes.page(ana, { after: 2, goneAfter: 2, limit: 10 })
      expect(page?.changes).toMatchObject([{ revision: 3, file: { id: seen.id, thumbnail: null } }])
    })
  })

  describe(`${name} keeps a thumbnail with its content`, () => {
    it('when the file is renamed, deleted and restored', async () => {
      const { files, trash, thumbnails, ana, file, thumbnail, found, tag, bytes } = await withThumbnail()
      await files.edit(ana, file, { name: 'hill.jpg', taken: null }, T)
      expect((await found('hill.jpg'))?.thumbnail).toEqual(recordOf(thumbnail))
      await files.discard(ana, { ...file, name: 'hill.jpg' }, T)
      expect(await found('hill.jpg')).toMatchObject({ file: null, thumbnail: null })
      expect(await trash.find(ana, file.id)).toMatchObject({ thumbnail: thumbnail.tag, thumbnailBytes: 100 })
      expect(await thumbnails.byTag(ana, thumbnail.tag)).toEqual(recordOf(thumbnail))
      await trash.restore(ana, file, 'sea.jpg', T)
      expect((await found('sea.jpg'))?.thumbnail).toEqual(recordOf(thumbnail))
      expect([await tag('sea.jpg'), await bytes()]).toEqual([thumbnail.tag, FILE_BYTES + 100])
    })

    it('when the same bytes are stored again', async () => {
      const { files, ana, file, thumbnail, found, bytes } = await withThumbnail()
      const again = { ...sized('beach.jpg', FILE_BYTES), id: file.id, tag: file.tag }
      expect(await files.commit(ana, again, file.version, null)).toBe('done')
      expect((await found())?.thumbnail).toEqual(recordOf(thumbnail))
      expect(await bytes()).toBe(FILE_BYTES + 100)
    })

    it('in the trash when other bytes replace it', async () => {
      const { files, trash, ana, file, thumbnail, found, bytes } = await withThumbnail()
      const displaced = entry()
      const other = { ...sized('beach.jpg', 10), id: file.id }
      expect(await files.commit(ana, other, file.version, null, displaced)).toBe('done')
      expect(await found()).toMatchObject({ file: { thumbnail: null, thumbnailBytes: 0 }, thumbnail: null })
      expect(await bytes()).toBe(FILE_BYTES + 100 + 10)
      const restored = await trash.find(ana, displaced.id)
      await trash.restore(ana, restored as SealedFile, 'beach (1).jpg', T)
      expect((await found('beach (1).jpg'))?.thumbnail).toEqual(recordOf(thumbnail))
    })
  })

  describe(`${name} deletes a thumbnail with its content`, () => {
    it('when the version is discarded at once', async () => {
      const { files, thumbnails, ana, file, thumbnail, found, bytes } = await withThumbnail()
      const other = { ...sized('beach.jpg', 10), id: file.id }
      expect(await files.commit(ana, other, file.version, null)).toBe('done')
      expect(await found()).toMatchObject({ file: { thumbnail: null }, thumbnail: null })
      expect(await thumbnails.byTag(ana, thumbnail.tag)).toBeNull()
      expect(await bytes()).toBe(10)
    })

    it.each<[string, (repositories: Repositories, owner: string, id: string) => Promise<unknown>]>([
      ['is removed', ({ trash }, owner, id) => trash.remove(owner, id)],
      ['is emptied', ({ trash }, owner) => trash.empty(owner, T, 10)],
      ['expires', ({ trash }) => trash.expire(T, 10)],
    ])('when the trash %s', async (_how, remove) => {
      const { ana, file, thumbnail, bytes, ...repositories } = await withThumbnail()
      await repositories.files.discard(ana, file, T)
      await remove(repositories, ana, file.id)
      expect(await repositories.thumbnails.byTag(ana, thumbnail.tag)).toBeNull()
      expect(await bytes()).toBe(0)
    })

    it('when its user is removed', async () => {
      const { users, thumbnails, ana, thumbnail } = await withThumbnail()
      await users.remove(ana)
      expect(await thumbnails.find(ana, 'beach.jpg')).toBeNull()
      await users.clearOut(ana, 10)
      expect(await thumbnails.byTag(ana, thumbnail.tag)).toBeNull()
    })
  })
}

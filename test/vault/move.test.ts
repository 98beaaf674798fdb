import { cp } from 'node:fs/promises'
import { expect, it } from 'vitest'
import { moveTargetOf, openMoveSource } from '../../src/compose/move.ts'
import { readConfig } from '../../src/config/config.ts'
import type { BlobStore } from '../../src/ports/blobs.ts'
import type { MoveSource, MoveTarget } from '../../src/ports/operator.ts'
import { cryptographicChance } from '../../src/vault/crypto/secrets.ts'
import { move } from '../../src/vault/operator/move.ts'
import { type Member, member, memberWith, type TestApp, temporaryFolder } from '../support/app.ts'
import { pathOf, spoil } from '../support/blobs.ts'
import { type MovePlace, migrate, movePlace } from '../support/move.ts'
import { quietly } from '../support/operator.ts'
import { describePostgres } from '../support/postgres.ts'

/** A move beside a server that writes, in which something happens after the first look at the files. */
async function racing(place: MovePlace, act: () => Promise<unknown>) {
  const source = await openMoveSource(readConfig(place.from), Date.now, cryptographicChance)
  const target = moveTargetOf(readConfig(place.to), Date.now)
  let acted: Promise<unknown> | null = null
  const page: MoveSource['files']['page'] = async (after, limit) => {
    const found = await source.files.page(after, limit)
    acted ??= act()
    await acted
    return found
  }
  try {
    return await move({ ...source, files: { ...source.files, page } }, target, false, () => () => {})
  } finally {
    await target.close()
    await source.close()
  }
}

/** A move beside a server that writes, with another `open` of the target's blobs. Also returns the blobs that were opened there. */
async function watched(place: MovePlace, openOf: (blobs: BlobStore) => BlobStore['open']) {
  const source = await openMoveSource(readConfig(place.from), Date.now, cryptographicChance)
  const target = moveTargetOf(readConfig(place.to), Date.now)
  const read: string[] = []
  const open: MoveTarget['open'] = async () => {
    const { rows, blobs } = await target.open()
    const openBlob = openOf(blobs)
    const noting: BlobStore['open'] = (...given) => {
      read.push(given[0])
      return openBlob(...given)
    }
    return { rows, blobs: { ...blobs, open: noting } }
  }
  try {
    return { report: await move(source, { ...target, open }, false, quietly), read }
  } finally {
    await target.close()
    await source.close()
  }
}

async function soundFile() {
  const place = await movePlace({ to: { UPLOADS_DIR: await temporaryFolder() } })
  const source = await place.source()
  const ada = await member(source)
  await ada.put('beach.jpg', 'sand')
  return { place, source, ada }
}

async function damagedFile(): Promise<{ place: MovePlace; source: TestApp; ada: Member }> {
  const found = await soundFile()
  await spoil(await pathOf(found.source, found.ada, 'beach.jpg'), (bytes) => bytes.fill(1, 50))
  return found
}

describePostgres('a move beside a server that writes', () => {
  it('brings what took the place of a damaged file meanwhile', async () => {
    const { place, source, ada } = await damagedFile()
    const report = await racing(place, () => ada.replace('beach.jpg', 'sand and sea'))
    expect(report).toMatchObject({ moved: false, state: 'written', files: 1, bytes: 12, lost: [] })
    await source.close()
    expect(await migrate(place)).toMatchObject({ ok: true, report: { blobs: { copied: 0, kept: 1 } } })
    expect((await memberWith(await place.target(), ada).get('beach.jpg')).body).toBe('sand and sea')
  })

  it('does not open again what an earlier run has opened there', async () => {
    const { place } = await soundFile()
    expect((await migrate(place)).report).toMatchObject({ moved: false, blobs: { copied: 1, kept: 0 } })
    const { report, read } = await watched(place, (blobs) => blobs.open)
    expect(report).toMatchObject({ files: 1, bytes: 4, blobs: { copied: 0, kept: 1 } })
    expect(read).toEqual([])
  })

  it('replaces no blob that opens there when it is read once more', async () => {
    const { place, source } = await soundFile()
    await cp(source.config.UPLOADS_DIR, place.to.UPLOADS_DIR as string, { recursive: true })
    let isFirst = true
    const { report, read } = await watched(place, ({ open }) => async (...given) => {
      const reader = await open(...given)
      if (!reader || !isFirst) return reader
      isFirst = false
      return { ...reader, read: async (bytes) => Buffer.alloc(bytes) }
    })
    expect(report).toMatchObject({ files: 1, bytes: 4, blobs: { copied: 0, kept: 1 }, lost: [] })
    expect(read).toHaveLength(2)
  })

  it('does not miss a file that is gone meanwhile, nor one of a user who is', async () => {
    const one = await damagedFile()
    const gone = async () => {
      await one.ada.request('/v1/files/beach.jpg', { method: 'DELETE' })
      await one.ada.request('/v1/trash', { method: 'DELETE' })
    }
    expect(await racing(one.place, gone)).toMatchObject({ files: 0, lost: [] })

    const other = await damagedFile()
    const left = () => other.source.ports.users.remove(other.ada.userId)
    expect(await racing(other.place, left)).toMatchObject({ files: 0, lost: [] })
  })

  it('tells of a damaged file that stays', async () => {
    const { place, source } = await damagedFile()
    expect((await racing(place, async () => {})).lost).toMatchObject([{ why: 'its blob does not open' }])
    expect(source.log.filter((line) => line.includes('"level":50'))).toEqual([])
  })

  it('keeps the blobs that it is about to copy from being deleted', async () => {
    const { place, source, ada } = await soundFile()
    const report = await racing(place, () => ada.replace('beach.jpg', 'sand and sea'))
    expect(report).toMatchObject({ files: 1, bytes: 4, lost: [] })
    await source.close()
    expect(await migrate(place)).toMatchObject({ ok: true, report: { blobs: { copied: 1, kept: 0 } } })
    expect((await memberWith(await place.target(), ada).get('beach.jpg')).body).toBe('sand and sea')
  })
})

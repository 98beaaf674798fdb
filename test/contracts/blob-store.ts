/** The contract of every blob store. */
import { randomBytes } from 'node:crypto'
import { setImmediate as turn } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { BlobReader, BlobStore } from '../../src/ports/blobs.ts'
import { listed } from '../support/blobs.ts'

const MiB = 1024 * 1024

export function blobStoreContract(name: string, make: () => Promise<BlobStore>) {
  describe(`${name} stores blobs`, () => {
    it('hands out the bytes that were put', async () => {
      const store = await make()
      const bytes = randomBytes(3 * MiB + 17)
      await store.put('run/a', batches(bytes))
      expect((await read(store, 'run/a', 0, bytes.length)).equals(bytes)).toBe(true)
    })

    it.each(['', '/', 'run', 'run/', '/a', 'run/\0', 'run/\ud800', '\u{10ffff}/a', '../run/a', 'run/../a', 'run/a/b'])(
      'takes %j for no blob id',
      async (id) => {
        const store = await make()
        await store.put('run/a', batches(Buffer.from('bytes')))
        const refused = [
          store.length(id),
          store.open(id, 0, 1),
          store.delete([id]),
          store.put(id, batches(Buffer.alloc(0))),
        ]
        for (const act of await Promise.allSettled(refused)) {
          expect(act).toMatchObject({ status: 'rejected', reason: { message: 'not a blob id' } })
        }
        await store.delete([])
        expect(await listed(store, 'run')).toEqual(['run/a'])
      },
    )

    it('takes a blob without bytes', async () => {
      const store = await make()
      await store.put('run/empty', batches(Buffer.alloc(0)))
      expect(await listed(store, 'run')).toEqual(['run/empty'])
    })

    it.each([1, 10, 1000])('hands out what came in %i chunks of a batch each', async (count) => {
      const store = await make()
      const bytes = randomBytes(count * 3)
      await store.put('run/a', inBatchesOf(3, bytes))
      expect((await read(store, 'run/a', 0, bytes.length)).equals(bytes)).toBe(true)
    })

    it.each([
      [0, 1],
      [5, 6],
      [0, MiB],
      [MiB - 1, MiB + 1],
      [MiB, 2 * MiB],
      [2 * MiB + 5, 2 * MiB + 17],
    ])('hands out the bytes from %i up to %i alone', async (start, end) => {
      const store = await make()
      const bytes = randomBytes(2 * MiB + 17)
      await store.put('run/a', batches(bytes))
      expect((await read(store, 'run/a', start, end)).equals(bytes.subarray(start, end))).toBe(true)
    })

    it('answers null for a blob that is not there', async () => {
      const store = await make()
      expect(await store.open('run/none', 0, 1)).toBeNull()
    })

    it('reads on where the last read ended, and no further than the end', async () => {
      const store = await make()
      const bytes = randomBytes(3 * MiB)
      await store.put('run/a', batches(bytes))
      const reader = (await store.open('run/a', 10, 2 * MiB)) as BlobReader
      for (const [from, to] of [
        [10, 50],
        [50, MiB + 50],
        [MiB + 50, 2 * MiB],
      ] as const) {
        expect((await reader.read(to - from)).equals(bytes.subarray(from, to))).toBe(true)
      }
      expect(await reader.read(1)).toHaveLength(0)
      await reader.close()
    })

    it('tells how long a blob is', async () => {
      const store = await make()
      await store.put('run/a', batches(Buffer.from('seventeen letters')))
      expect(await store.length('run/a')).toBe(17)
      expect(await store.length('run/none')).toBeNull()
    })

    it('fails a read beyond the end of a blob instead of ending early', async () => {
      const store = await make()
      await store.put('run/short', batches(Buffer.from('short')))
      await expect(read(store, 'run/short', 0, 10)).rejects.toThrow()
    })

    it('leaves nothing of a put whose bytes break off, and throws what broke it', async () => {
      const store = await make()
      const broken = async function* () {
        yield [randomBytes(MiB)]
        yield [randomBytes(MiB)]
        throw new Error('the line went dead')
      }
      await expect(store.put('run/broken', broken())).rejects.toThrow('the line went dead')
      expect(await listed(store, 'run')).toEqual([])
    })

    it('leaves nothing of a long put whose bytes break off', async () => {
      const store = await make()
      const broken = async function* () {
        for (let n = 0; n < 20; n += 1) yield [randomBytes(MiB)]
        throw new Error('the line went dead')
      }
      await expect(store.put('run/broken', broken())).rejects.toThrow('the line went dead')
      expect(await listed(store, 'run')).toEqual([])
    })

    it('leaves nothing of a put that breaks off early', async () => {
      const store = await make()
      const broken = async function* () {
        yield [Buffer.from('a few bytes')]
        throw new Error('the line went dead')
      }
      await expect(store.put('run/broken', broken())).rejects.toThrow('the line went dead')
      expect(await listed(store, 'run')).toEqual([])
    })

    it('lets go of the batches of a put that fails', async () => {
      const store = await make()
      await store.put('run/a', batches(Buffer.from('first')))
      let letGo = false
      const bytes = async function* () {
        try {
          for (;;) yield [randomBytes(MiB)]
        } finally {
          letGo = true
        }
      }
      await expect(store.put('run/a', bytes())).rejects.toThrow()
      expect(letGo).toBe(true)
    })

    it('writes a blob once: a second put under its id fails and changes nothing', async () => {
      const store = await make()
      await store.put('run/a', batches(Buffer.from('first')))
      await expect(store.put('run/a', batches(Buffer.from('other')))).rejects.toThrow()
      expect((await read(store, 'run/a', 0, 5)).equals(Buffer.from('first'))).toBe(true)
    })

    it('hands out the right bytes of a blob that is deleted meanwhile, or fails', async () => {
      const store = await make()
      const bytes = randomBytes(20 * MiB)
      await store.put('run/a', batches(bytes))
      const reader = (await store.open('run/a', 0, bytes.length)) as BlobReader
      await store.delete(['run/a'])
      const read = await all(reader).catch(() => 'failed' as const)
      expect(read === 'failed' || read.equals(bytes)).toBe(true)
      expect(await store.open('run/a', 0, 1)).toBeNull()
    })

    it('deletes what is there and does not mind what is not', async () => {
      const store = await make()
      await store.put('run/a', batches(Buffer.from('a')))
      await store.put('run/b', batches(Buffer.from('b')))
      await store.delete(['run/a', 'run/none', 'other/none'])
      await store.delete(['run/none'])
      await store.delete([])
      expect(await listed(store, 'run')).toEqual(['run/b'])
    })

    it('lists the blobs of one run alone', async () => {
      const store = await make()
      await store.put('run-1/a', batches(Buffer.from('a')))
      await store.put('run-2/b', batches(Buffer.from('b')))
      expect(await listed(store, 'run-1')).toEqual(['run-1/a'])
      expect(await listed(store, 'run-3')).toEqual([])
      expect((await store.runs()).sort()).toEqual(['run-1', 'run-2'])
    })

    it('closes a run without touching blobs that are left', async () => {
      const store = await make()
      await store.put('run/a', batches(Buffer.from('a')))
      await store.closeRun('run')
      await store.closeRun('never')
      expect(await listed(store, 'run')).toEqual(['run/a'])
    })

    it('stores many blobs at a time', async () => {
      const store = await make()
      const blobs = Array.from({ length: 40 }, (_, n) => ({ id: `run/${n}`, bytes: randomBytes(20_000) }))
      await Promise.all(blobs.map(({ id, bytes }) => store.put(id, batches(bytes))))
      for (const { id, bytes } of blobs) expect((await read(store, id, 0, bytes.length)).equals(bytes)).toBe(true)
    })
  })
}

/** Batches of 16 chunks of 64 KiB, like those of the vault. */
async function* batches(bytes: Buffer): AsyncGenerator<Buffer[]> {
  for (let at = 0; at < bytes.length; at += MiB) {
    const batch = []
    for (let chunk = at; chunk < Math.min(at + MiB, bytes.length); chunk += 64 * 1024) {
      batch.push(bytes.subarray(chunk, Math.min(chunk + 64 * 1024, at + MiB)))
    }
    await turn()
    yield batch
  }
}

async function* inBatchesOf(size: number, bytes: Buffer): AsyncGenerator<Buffer[]> {
  for (let at = 0; at < bytes.length; at += size) yield [bytes.subarray(at, at + size)]
}

async function read(store: BlobStore, blob: string, start: number, end: number): Promise<Buffer> {
  return all(await store.open(blob, start, end))
}

/** Copies each chunk, because the reader reuses its memory. */
async function all(reader: BlobReader | null): Promise<Buffer> {
  const chunks = []
  try {
    for (let chunk = await reader?.read(MiB); chunk?.length; chunk = await reader?.read(MiB))
      chunks.push(Buffer.from(chunk))
    return Buffer.concat(chunks)
  } finally {
    await reader?.close()
  }
}

/** Ranges of sealed contents against a plain buffer, above all where parts, frames and batches begin and end. */
import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { expect, it, onTestFinished } from 'vitest'
import { diskBlobs } from '../../src/adapters/disk/blobs.ts'
import type { Part } from '../../src/ports/files.ts'
import { openContent, type Range } from '../../src/vault/crypto/content.ts'
import { FRAME_BYTES, frameSealer, type Secrets, sealPartKey } from '../../src/vault/crypto/envelope.ts'
import { temporaryFolder } from '../support/app.ts'

const BATCH = 16 * FRAME_BYTES
const CONTENT = randomBytes(2 * BATCH + 3 * FRAME_BYTES)

/** Near the edge of a frame or a batch more often than not. */
const position = fc.oneof(
  fc.nat(CONTENT.length - 1),
  fc
    .tuple(fc.nat(Math.floor(CONTENT.length / FRAME_BYTES)), fc.integer({ min: -2, max: 2 }))
    .map(([frame, off]) => Math.min(Math.max(0, frame * FRAME_BYTES + off), CONTENT.length - 1)),
)

interface Version {
  parts: Part[]
  secrets: Secrets
}

async function stored() {
  const blobs = await diskBlobs(await temporaryFolder())
  onTestFinished(() => blobs.close())
  let count = 0
  return { blobs, put, read }

  /** The first bytes of `CONTENT`, in one part under the file key or in several parts that end at these places. */
  async function put(ends: number[]): Promise<Version> {
    const sizeBytes = ends.at(-1) ?? 0
    const secrets = { fileKey: randomBytes(32), sizeBytes, sha256: '', parts: ends.length }
    const parts: Part[] = []
    for (const [n, end] of ends.entries()) {
      const start = ends[n - 1] ?? 0
      const key = ends.length === 1 ? secrets.fileKey : randomBytes(32)
      count += 1
      const part = { start, sizeBytes: end - start, blob: `run/${count}` }
      const seal = frameSealer(key, randomBytes(32))
      await blobs.put(part.blob, one(seal([CONTENT.subarray(start, end)], part.sizeBytes, true)))
      const sealed = ends.length === 1 ? null : sealPartKey(secrets.fileKey, randomBytes(12), part, key)
      parts.push({ ...part, seal: sealed })
    }
    return { parts, secrets }
  }

  async function read({ parts, secrets }: Version, { start, end }: Range): Promise<Buffer | null> {
    const files = {
      async parts(_version: string, from: number, limit: number) {
        const first = parts.findLastIndex((part) => part.start <= from)
        return parts.slice(Math.max(0, first)).slice(0, Math.min(limit, 2))
      },
    }
    const reader = await openContent({ files, blobs }, { id: 'file', version: 'v' }, secrets, { start, end })
    if (!reader) return null
    const chunks: Buffer[] = []
    try {
      for (let batch = await reader.next(); batch; batch = await reader.next()) chunks.push(...batch)
    } finally {
      await reader.close()
    }
    return Buffer.concat(chunks)
  }
}

async function* one(batch: Uint8Array[]) {
  yield batch
}

it('hands out just the bytes of any range of any size, in any number of parts', async () => {
  const { blobs, put, read } = await stored()
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(position, { minLength: 1, maxLength: 5 }),
      fc.array(fc.tuple(position, position), { minLength: 1, maxLength: 5 }),
      async (lasts, pairs) => {
        const ends = lasts.map((last) => last + 1).sort((a, b) => a - b)
        const sizeBytes = ends.at(-1) as number
        const version = await put(ends)
        for (const pair of [...pairs, [0, sizeBytes - 1] as const]) {
          const [from, to] = pair.map((at) => at % sizeBytes).sort((a, b) => a - b) as [number, number]
          const bytes = await read(version, { start: from, end: to })
          expect(bytes?.equals(CONTENT.subarray(from, to + 1))).toBe(true)
        }
        await blobs.delete(version.parts.map(({ blob }) => blob))
      },
    ),
    { numRuns: 60 },
  )
})

it('answers null for a version whose part or blob is not there', async () => {
  const { blobs, put, read } = await stored()
  const version = await put([3 * FRAME_BYTES])
  await blobs.delete(version.parts.map(({ blob }) => blob))
  for (const start of [0, 2 * FRAME_BYTES]) expect(await read(version, { start, end: start })).toBeNull()
  expect(await read({ ...version, parts: [] }, { start: 0, end: 5 })).toBeNull()
})

it.each<[string, (parts: Part[], others: Part[]) => Part[]]>([
  ['a part is missing', ([first, , last]) => [first, last] as Part[]],
  ['the last part is missing', ([first, second]) => [first, second] as Part[]],
  ['two parts are exchanged', ([first, second, last]) => exchanged(first as Part, second as Part).concat(last as Part)],
  ['a part has the blob of another one', ([first, second, last]) => [first, moved(second, first), last] as Part[]],
  ['a part is that of another version', ([first, , last], [, other]) => [first, other, last] as Part[]],
  ['a part has no seal', ([first, second, last]) => [first, { ...second, seal: null }, last] as Part[]],
  ['a part seems longer', ([first, second]) => [first, { ...second, sizeBytes: 60_000 }] as Part[]],
])('hands out nothing as the whole where %s', async (_how, change) => {
  const { put, read } = await stored()
  const [version, other] = [await put([20_000, 40_000, 60_000]), await put([20_000, 40_000, 60_000])]
  const whole = { start: 0, end: 59_999 }
  expect((await read(version, whole))?.length).toBe(60_000)
  await expect(read({ ...version, parts: change(version.parts, other.parts) }, whole)).rejects.toThrow('damaged')
})

it('closes every blob that it opened, wherever the reading ends', async () => {
  const { blobs, put } = await stored()
  const version = await put([20_000, 40_000, 60_000])
  let open = 0
  const counting = {
    opensAhead: 2,
    async open(...given: Parameters<typeof blobs.open>) {
      const reader = await blobs.open(...given)
      open += 1
      return (
        reader && {
          read: reader.read,
          close: async () => {
            open -= 1
            await reader.close()
          },
        }
      )
    },
  }
  const files = { parts: async () => version.parts }
  const row = { id: 'file', version: 'v' }
  for (const reads of [0, 1, 2, 4]) {
    const ports = { files, blobs: counting }
    const reader = await openContent(ports, row, version.secrets, { start: 0, end: 59_999 })
    for (let n = 0; n < reads; n += 1) await reader?.next()
    await reader?.close()
    expect(open).toBe(0)
  }
})

it('opens small parts ahead, as many as its store asks for, and none behind the range', async () => {
  const { blobs, put } = await stored()
  const version = await put([1, 2, 3, 4, 5, 6, 7, 8].map((n) => n * 10_000))
  const opened: string[] = []
  const noting = {
    opensAhead: 3,
    open(...given: Parameters<typeof blobs.open>) {
      opened.push(given[0])
      return blobs.open(...given)
    },
  }
  const ports = { files: { parts: async () => version.parts }, blobs: noting }
  const reader = await openContent(ports, { id: 'file', version: 'v' }, version.secrets, { start: 0, end: 59_999 })
  const names = version.parts.map(({ blob }) => blob)
  await expect.poll(() => opened).toEqual(names.slice(0, 4))
  const chunks: Buffer[] = []
  for (let batch = await reader?.next(); batch; batch = await reader?.next()) chunks.push(...batch)
  await reader?.close()
  expect(Buffer.concat(chunks).equals(CONTENT.subarray(0, 60_000))).toBe(true)
  expect(opened).toEqual(names.slice(0, 6))
})

function exchanged(a: Part, b: Part): Part[] {
  return [
    { ...b, start: a.start },
    { ...a, start: b.start },
  ]
}

function moved(to: Part | undefined, from: Part | undefined): Partial<Part> {
  return { ...to, blob: from?.blob as string }
}

it('reports damage where a blob is shorter than its header', async () => {
  const { put } = await stored()
  const version = await put([3 * FRAME_BYTES])
  const short = {
    opensAhead: 1,
    open: async () => ({
      read: async () => {
        throw new Error('too short')
      },
      close: async () => {},
    }),
  }
  const ports = { files: { parts: async () => version.parts }, blobs: short }
  const range = { start: 2 * FRAME_BYTES, end: 2 * FRAME_BYTES }
  await expect(openContent(ports, { id: 'file', version: 'v' }, version.secrets, range)).rejects.toThrow(
    'does not open',
  )
})

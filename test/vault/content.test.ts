/** Ranges of sealed contents against a plain buffer, above all where frames and batches begin and end. */
import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { expect, it, onTestFinished } from 'vitest'
import { diskBlobs } from '../../src/adapters/disk/blobs.ts'
import { openContent, type Range } from '../../src/vault/crypto/content.ts'
import { FRAME_BYTES, frameSealer } from '../../src/vault/crypto/envelope.ts'
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

async function stored() {
  const blobs = await diskBlobs(await temporaryFolder())
  onTestFinished(() => blobs.close())
  let count = 0
  return {
    blobs,
    async put(sizeBytes: number) {
      const fileKey = randomBytes(32)
      const seal = frameSealer(fileKey, randomBytes(32))
      count += 1
      const blob = `run/${count}`
      await blobs.put(blob, one(seal([CONTENT.subarray(0, sizeBytes)], sizeBytes, true)))
      return { blob, secrets: { fileKey, sizeBytes, sha256: '' } }
    },
  }
}

async function* one(batch: Uint8Array[]) {
  yield batch
}

it('hands out just the bytes of any range of any size', async () => {
  const { blobs, put } = await stored()
  const read = async (blob: string, secrets: Parameters<typeof openContent>[2], range: Range) => {
    const reader = await openContent(blobs, { id: 'file', blob }, secrets, range)
    const chunks: Buffer[] = []
    try {
      for (let batch = await reader?.next(); batch; batch = await reader?.next()) chunks.push(...batch)
    } finally {
      await reader?.close()
    }
    return Buffer.concat(chunks)
  }
  await fc.assert(
    fc.asyncProperty(
      position,
      fc.array(fc.tuple(position, position), { minLength: 1, maxLength: 5 }),
      async (end, pairs) => {
        const sizeBytes = end + 1
        const { blob, secrets } = await put(sizeBytes)
        for (const pair of [...pairs, [0, end] as const]) {
          const [from, to] = pair.map((at) => at % sizeBytes).sort((a, b) => a - b) as [number, number]
          const bytes = await read(blob, secrets, { start: from, end: to })
          expect(bytes.equals(CONTENT.subarray(from, to + 1))).toBe(true)
        }
        await blobs.delete([blob])
      },
    ),
    { numRuns: 150 },
  )
})

it('answers null for a blob that is not there', async () => {
  const { blobs, put } = await stored()
  const { secrets } = await put(3 * FRAME_BYTES)
  for (const start of [0, 2 * FRAME_BYTES]) {
    expect(await openContent(blobs, { id: 'file', blob: 'run/none' }, secrets, { start, end: start })).toBeNull()
  }
})

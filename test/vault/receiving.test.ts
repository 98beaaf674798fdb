import { randomBytes } from 'node:crypto'
import { expect, it } from 'vitest'
import { rulesOf } from '../../src/compose/rules.ts'
import { openContent, wholeOf } from '../../src/vault/crypto/content.ts'
import { openBlobWriting } from '../../src/vault/files/blob-writing.ts'
import { openReceiving, type Received } from '../../src/vault/files/receiving.ts'
import { openSlots } from '../../src/vault/slots.ts'
import { openTurns } from '../../src/vault/turns.ts'
import { testApp } from '../support/app.ts'

it.each([
  ['a byte at a time', [...Array(3000).fill(1)]],
  ['in crumbs between large chunks', [1, 300_000, ...Array(600).fill(7), 2_000_000, ...Array(300).fill(3)]],
  ['in one chunk of many frames', [3_000_000]],
  ['in just a piece', [1024 * 1024]],
])('takes bytes that come %s', async (_case, sizes: number[]) => {
  const app = await testApp()
  const chunks = sizes.map((size) => randomBytes(size))
  const receive = openReceiving({
    ports: app.ports,
    rules: rulesOf(app.config),
    admission: { admit: async () => {}, run: () => 'run', isOver: async () => false },
    background: () => {},
    doubtfulBlobs: { add: () => {} },
    unrecorded: () => ({ add: () => {}, end: () => {} }),
    receivingTurns: openTurns(),
    storingSlots: openSlots(1, () => ''),
  })
  const received: Received = await receive('ada', async (take) => {
    const received = await take(chunksOf(chunks), Number.POSITIVE_INFINITY)
    await received.offer(async () => 'done')
    return received
  })
  const whole = Buffer.concat(chunks)
  const part = { start: 0, sizeBytes: whole.length, blob: received.blob, seal: null }
  const reader = await openContent(app.ports, { id: 'file', version: '' }, received, wholeOf(whole.length), part)
  const opened: Buffer[] = []
  for (let batch = await reader?.next(); batch; batch = await reader?.next()) opened.push(...batch)
  await reader?.close()
  expect(Buffer.concat(opened).equals(whole)).toBe(true)
})

it('joins bytes that come one at a time, again and again', async () => {
  const app = await testApp()
  const { write } = openBlobWriting({
    ports: app.ports,
    admission: { admit: async () => {}, run: () => 'run', isOver: async () => false },
    doubtfulBlobs: { add: () => {} },
    receivingTurns: openTurns(),
    storingSlots: openSlots(1, () => ''),
  })
  const sizes: number[] = []
  const hash = { update: ({ length }: Uint8Array) => sizes.push(length) }
  await write('ada', randomBytes(32), chunksOf(Array.from({ length: 1000 }, () => randomBytes(1))), hash, {
    add: () => {},
    end: () => {},
  })
  expect(sizes).toEqual([256, 256, 256, ...Array(232).fill(1)])
})

it('stores so many blobs of a network at a time, and a store that fails leaves no slot behind', async () => {
  const app = await testApp()
  const { put } = app.ports.blobs
  const storing: string[] = []
  const stored = new Map<string, (error?: Error) => void>()
  app.ports.blobs.put = async (blob, batches) => {
    const fails = new Promise<void>((_, reject) => stored.set(`no ${blob}`, reject))
    const pieces = async function* () {
      for await (const piece of batches) yield piece
      storing.push(blob)
      await new Promise<void>((resolve) => stored.set(blob, () => resolve()))
    }
    await Promise.race([put(blob, pieces()), fails])
  }
  let id = 0
  const { write } = openBlobWriting({
    ports: { ...app.ports, chance: { ...app.ports.chance, id: () => `blob-${id++}` } },
    admission: { admit: async () => {}, run: () => 'run', isOver: async () => false },
    doubtfulBlobs: { add: () => {} },
    receivingTurns: openTurns(),
    storingSlots: openSlots(1, () => ''),
  })
  const unrecorded = { add: () => {}, end: () => {} }
  const one = () => write('ada', randomBytes(32), chunksOf([Buffer.from('sand')]), { update: () => {} }, unrecorded)
  const [first, second, third] = [one(), one(), one()]
  await expect.poll(() => storing).toEqual(['run/blob-0'])
  stored.get('no run/blob-1')?.(new Error('the store hangs'))
  await expect(second).rejects.toThrow('the store hangs')
  expect(storing).toEqual(['run/blob-0'])
  stored.get('run/blob-0')?.()
  await first
  await expect.poll(() => storing).toContain('run/blob-2')
  for (const blob of ['run/blob-1', 'run/blob-2']) stored.get(blob)?.()
  expect((await third).sizeBytes).toBe(4)
})

async function* chunksOf(chunks: Buffer[]) {
  yield* chunks
}

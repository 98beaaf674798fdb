/** Every line of README.md, as one program. */
import { expect, it } from 'vitest'
import { testApp } from '../../../test/support/app.ts'
import { memoryStore } from '../src/node.ts'
import { blocksOf, run } from './pages.ts'

it('the lines of README.md run', async () => {
  const app = await testApp()
  const shown: unknown[][] = []
  const saved: number[] = []
  const given = {
    baseUrl: app.url,
    unfinished: memoryStore(),
    photo: Buffer.from('a photo'),
    smallJpeg: Buffer.from('a small photo'),
    lastCursor: null,
    askForPin: () => '',
    apply: (changes: unknown[]) => shown.push(changes),
    removeFromDevice: (local: unknown) => shown.push(['removed', local]),
    show: (...what: unknown[]) => shown.push(what),
    signInAgain: () => shown.push(['sign in again']),
    save: async (stream: ReadableStream) => saved.push((await new Response(stream).arrayBuffer()).byteLength),
  }
  const blocks = await blocksOf('clients/typescript/README.md', 'ts')
  const results = await run(
    blocks.map(({ text }) => text),
    given,
    ['outcome', 'file.name', 'start.length'],
  )

  expect(results).toEqual(['stored', 'beach.jpg', 3])
  expect([saved[0], (saved[1] ?? 0) > 100]).toEqual([7, true])
  expect(shown).toContainEqual([expect.objectContaining({ type: 'file' })])
  expect(shown.some(([what]) => what === 'removed')).toBe(true)
  expect(shown.at(-1)).toEqual(['sign in again'])
})

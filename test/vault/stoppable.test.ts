import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, it } from 'vitest'
import { stoppable } from '../../src/vault/uploads/stoppable.ts'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

it('bytes that were taken are not kept in memory until the end', async () => {
  const taken: WeakRef<Uint8Array>[] = []
  async function* chunks() {
    for (let n = 0; n < 50; n += 1) yield new Uint8Array(1000)
  }
  const source = stoppable(chunks(), new Promise(() => {}))
  for await (const chunk of source.upTo(40_000)) taken.push(new WeakRef(chunk))
  // A WeakRef keeps its target until the running job ends.
  await new Promise(setImmediate)
  collectGarbage()
  expect(taken.filter((chunk) => chunk.deref() !== undefined).length).toBeLessThan(5)
  expect(await source.hasMore()).toBe(true)
})

it('ends while it waits for bytes that do not come', async () => {
  let stop: (reason: Error) => void = () => {}
  const stopped = new Promise<Error>((resolve) => {
    stop = resolve
  })
  async function* hanging() {
    yield new Uint8Array(10)
    await new Promise(() => {})
  }
  const source = stoppable(hanging(), stopped)
  expect(await source.hasMore()).toBe(true)
  const rest = (async () => {
    let bytes = 0
    for await (const chunk of source.upTo(1000)) bytes += chunk.length
    return bytes
  })()
  const reason = new Error('taken over')
  stop(reason)
  expect(await rest).toBe(10)
  expect(source.error()).toBe(reason)
  expect(await source.hasMore()).toBe(false)
})

it('has no more bytes once just all of them were taken', async () => {
  async function* chunks() {
    yield new Uint8Array(10)
  }
  const source = stoppable(chunks(), new Promise(() => {}))
  const taken: number[] = []
  for await (const { length } of source.upTo(4)) taken.push(length)
  for await (const { length } of source.upTo(6)) taken.push(length)
  expect(taken).toEqual([4, 6])
  expect(await source.hasMore()).toBe(false)
})

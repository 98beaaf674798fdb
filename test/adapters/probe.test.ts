import { setImmediate as nextIteration } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { openProbe } from '../../src/adapters/write-watch/probe.ts'

const hung = () => new Error('hangs')

/** The event loop does nothing else meanwhile, as while many requests arrive. */
function block(ms: number) {
  const end = performance.now() + ms
  while (performance.now() < end);
}

it('a write of several steps does not hang because the event loop was late at each of them', async () => {
  const { probe, stop } = openProbe(async () => {
    for (let step = 0; step < 8; step += 1) {
      await nextIteration()
      block(170)
    }
  }, hung)
  await expect(probe(0)).resolves.toBeUndefined()
  stop()
})

it('a write that never ends hangs', async () => {
  const { probe, stop } = openProbe(() => new Promise(() => {}), hung)
  await expect(probe(0)).rejects.toThrow('hangs')
  stop()
})

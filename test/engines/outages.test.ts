/** Two servers under steady traffic, while each of their engines fails in each way. */
import { setTimeout as pause } from 'node:timers/promises'
import { expect, it } from 'vitest'
import type { FaultyProxy } from '../support/faulty-proxy.ts'
import { describeEngines, type Engine, type Installation, installation } from '../support/installation.ts'
import { type Observed, type Traffic, trafficThrough } from '../support/traffic.ts'

/** By how much each answer of the engine is late; `over` is more than a server waits for one act of the engine, `under` is less. */
const LIMITS: Record<Engine, { over: number; under: number }> = {
  database: { over: 1700, under: 800 },
  redis: { over: 600, under: 200 },
  uploads: { over: 1700, under: 700 },
}
/** Acts that go on all the same. (On a busy machine Redis may seem to be away, too.) */
const GOES_ON: Record<Engine, string[]> = {
  database: [],
  redis: ['put', 'get', 'list'],
  uploads: ['list'],
}

const ACTS = ['ready', 'put', 'get', 'list', 'pin', 'sign-in']

const failuresOf = (engine: Engine, line: FaultyProxy): [string, boolean, () => unknown][] => [
  ['refuses', true, line.refuse],
  ['hangs', true, line.hang],
  ['is too slow', true, () => line.delay(LIMITS[engine].over)],
  ['is slow', false, () => line.delay(LIMITS[engine].under)],
  ['breaks again and again', false, () => breaking(line)],
]

describeEngines('two servers whose engines fail, each in every way', () => {
  it('answer as ever or with a 503, lose nothing that was acknowledged, and go on by themselves', async () => {
    const { servers, lines, expectSound } = await installation()
    const traffic = await trafficThrough(servers)
    for (const engine of Object.keys(LIMITS) as Engine[]) {
      const line = lines[engine]
      for (const [how, isDown, fail] of failuresOf(engine, line)) {
        const failure = `${engine} ${how}`
        await traffic.sinceLast()
        const failedAt = performance.now()
        await fail()
        if (isDown) {
          const named = { timeout: 20_000, message: `named while ${failure}` }
          await expect.poll(() => readiness(servers), named).toEqual(servers.map(() => `Not working: ${engine}.`))
        }
        await pause(isDown ? 500 : 1000)
        await line.heal()
        const seen = await traffic.sinceLast()
        report(failure, seen, failedAt)
        const refused = seen.filter(({ act, status }) => status === 503 && GOES_ON[engine].includes(act))
        expect(refused, failure).toEqual([])
        await expect
          .poll(() => waitingFor(traffic, servers), { timeout: 60_000, message: `after: ${failure}` })
          .toEqual([])
      }
    }
    await traffic.end()
    await expectSound()
  }, 300_000)
})

async function readiness(servers: Installation['servers']) {
  const answers = await Promise.all(servers.map((server) => server.request('/health/ready')))
  return answers.map(({ body }) => (body as { detail?: string }).detail ?? 'ready')
}

/** The acts that have not gone well with each server since a moment ago. */
async function waitingFor(traffic: Traffic, servers: Installation['servers']) {
  await traffic.sinceLast()
  await pause(500)
  const done = (await traffic.sinceLast()).filter(({ status }) => status !== 503)
  const isDone = (act: string, n: number) => done.some((one) => one.act === act && one.server === n)
  return ACTS.filter((act) => !servers.every((_, n) => isDone(act, n)))
}

async function breaking(line: FaultyProxy) {
  for (let n = 0; n < 10; n += 1) {
    line.cut()
    await pause(50)
  }
}

/** For whoever wants to see how long answers took since the engine failed: machines differ, so nothing is asserted of it. */
function report(failure: string, seen: Observed[], failedAt: number) {
  const waits = seen.map((one) => ({ ...one, ms: Math.max(0, one.ms + Math.min(0, one.startedAt - failedAt)) }))
  const slowest = (some: Observed[]) => {
    const last = some.reduce<Observed | null>((a, b) => (a && a.ms >= b.ms ? a : b), null)
    return last ? `${(last.ms / 1000).toFixed(1)} s (${last.act})` : 'none'
  }
  const refused = waits.filter(({ act, status }) => act !== 'ready' && status === 503)
  const others = waits.filter(({ status }) => status !== 503)
  process.stderr.write(
    `${failure}: ${refused.length} of ${seen.length} answers were 503, the slowest after ${slowest(refused)}; the slowest of the others after ${slowest(others)}\n`,
  )
}

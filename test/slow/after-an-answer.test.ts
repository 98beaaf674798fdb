/**
 * Whether somebody who asks for a PIN for an address, or guesses at one, can tell from the following requests whether the
 * address has a user: a busy server answers later. A rule is trained on three quarters of the probes and tested on the fourth,
 * once for each quarter.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { expect, it, onTestFinished } from 'vitest'
import { newDeviceId, temporaryFolder } from '../support/app.ts'
import { certFile } from '../support/mail.ts'
import { type ServerProcess, serverProcess } from '../support/process.ts'

/** Pairs of one probe at a known and one at an unknown address, in random order. `PROBE_PAIRS=100` takes 18 minutes. */
const PAIRS = Number(process.env.PROBE_PAIRS ?? 12)
const FOLDS = 4
/** For so long requests are timed: the work begins within 1.5 s. */
const WATCH_MS = 1800
const BINS = 6
/** So often may they be right who measure, and beyond it what a fair coin exceeds in one of 200 runs. */
const RIGHT_AT_MOST = 0.55

const KNOWN = 'known@example.org'

interface Sample {
  known: boolean
  features: number[]
}

type Step = (server: ServerProcess, email: string, deviceId: string) => Promise<unknown>

/** The requests that follow each of these steps are timed. */
const probes: Record<string, Step[]> = {
  'registers the address': [(server, email, deviceId) => server.post('/v1/users', { name: 'Eve', email, deviceId })],
  'asks for a PIN, and then guesses at it,': [
    (server, email, deviceId) => server.post('/v1/pins', { email, deviceId }),
    (server, _email, deviceId) => server.post('/v1/sessions', { deviceId, pin: '0000' }),
  ],
}

it.each(Object.entries(probes))(
  'who %s cannot tell from what follows whether it has a user',
  {
    timeout: 60 * 60_000,
  },
  async (_name, steps) => {
    const server = await serverWithKnownUser()
    const url = await server.url
    const samples: Sample[][] = steps.map(() => [])
    for (let pair = 0; pair < PAIRS; pair += 1) {
      const first = Math.random() < 0.5
      for (const known of [first, !first]) {
        const deviceId = newDeviceId()
        for (const [n, step] of steps.entries()) {
          await step(server, known ? KNOWN : `unknown${pair}@example.org`, deviceId)
          samples[n]?.push({ known, features: featuresOf(await watch(url)) })
        }
      }
    }
    for (const taken of samples) expectIndistinguishable(taken)
  },
)

/** Each fold has as many known addresses as unknown ones. */
function expectIndistinguishable(samples: Sample[]) {
  let right = 0
  for (let fold = 0; fold < FOLDS; fold += 1) {
    const isTest = (_: Sample, n: number) => Math.floor(n / 2) % FOLDS === fold
    const [rule] = bestRule(samples.filter((sample, n) => !isTest(sample, n)))
    right += samples.filter(isTest).filter((sample) => rule(sample) === sample.known).length
  }
  const chance = 2.58 * Math.sqrt(0.25 / samples.length)
  process.stderr.write(`right ${right} of ${samples.length}\n`)
  expect(right / samples.length).toBeLessThan(RIGHT_AT_MOST + chance)
}

async function serverWithKnownUser(): Promise<ServerProcess> {
  const sink = spawn(process.execPath, ['--import', 'tsx', `${import.meta.dirname}/../support/mail-sink-process.ts`])
  onTestFinished(() => void sink.kill('SIGKILL'))
  let printed = ''
  sink.stdout.on('data', (chunk) => {
    printed += chunk
  })
  const until = async (pattern: RegExp) => {
    while (!pattern.test(printed)) await once(sink.stdout, 'data')
    return pattern.exec(printed)?.[1] as string
  }
  const SMTP_URL = `smtp://vault:secret@0.0.0.0:${await until(/PORT (\d+)/)}`
  const settings = { PIN_DELIVERY: 'email', SMTP_URL, MAIL_FROM: 'vault@example.org', RATE_LIMIT: 'off' }
  const server = serverProcess(await temporaryFolder(), {
    ...settings,
    NODE_EXTRA_CA_CERTS: certFile,
    LOG_LEVEL: 'info',
  })
  const deviceId = newDeviceId()
  await server.post('/v1/users', { name: 'Ada', email: KNOWN, deviceId })
  const pin = await until(/PIN (\d{4})/)
  expect((await server.post('/v1/sessions', { deviceId, pin })).status).toBe(201)
  return server
}

/** The latencies of requests, one after the other, each with when it was sent. */
async function watch(url: string): Promise<{ at: number; ms: number }[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const begun = performance.now()
  const timed: { at: number; ms: number }[] = []
  for (let now = begun; now - begun < WATCH_MS; now = performance.now()) {
    await new Promise<void>((resolve, reject) => {
      request(`${url}/health/live`, { agent }, (response) => response.resume().once('end', resolve))
        .once('error', reject)
        .end()
    })
    timed.push({ at: now - begun, ms: performance.now() - now })
  }
  agent.destroy()
  return timed
}

/** Of the whole time, and of each part of it: the longest, the sum beyond the usual, the mean, how many took long. */
function featuresOf(timed: { at: number; ms: number }[]): number[] {
  const median = timed.map(({ ms }) => ms).sort((a, b) => a - b)[Math.floor(timed.length / 2)] ?? 0
  const of = (some: { ms: number }[]) => {
    const sorted = some.map(({ ms }) => ms).sort((a, b) => b - a)
    const sum = (count: number) => sorted.slice(0, count).reduce((total, ms) => total + ms, 0)
    const beyond = (times: number) => sorted.filter((ms) => ms > times * median).length
    const extra = sorted.reduce((total, ms) => total + Math.max(0, ms - 3 * median), 0)
    return [sum(1), sum(3), sum(10), extra, sum(sorted.length) / sorted.length, beyond(3), beyond(6), sorted.length]
  }
  const bins = Array.from({ length: BINS }, (_, bin) =>
    timed.filter(({ at }) => Math.floor((at / WATCH_MS) * BINS) === bin),
  )
  const perBin = bins.map(of)
  const overBins = [0, 3].map((feature) => Math.max(...perBin.map((values) => values[feature] ?? 0)))
  return [...of(timed), ...overBins, ...perBin.flat()]
}

/** The feature, threshold and direction that are right most often. */
function bestRule(samples: Sample[]): [(sample: Sample) => boolean, number] {
  let best: [(sample: Sample) => boolean, number] = [() => true, 0]
  for (let feature = 0; feature < (samples[0]?.features.length ?? 0); feature += 1) {
    const measured = ({ features }: Sample) => features[feature] ?? 0
    for (const threshold of samples.map(measured)) {
      for (const more of [true, false]) {
        const rule = (sample: Sample) => measured(sample) > threshold === more
        const right = samples.filter((sample) => rule(sample) === sample.known).length / samples.length
        if (right > best[1]) best = [rule, right]
      }
    }
  }
  return best
}

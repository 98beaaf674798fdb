import { readdirSync } from 'node:fs'
import { afterAll, describe, expect, it } from 'vitest'
import { isSound } from '../../src/vault/operator/verify.ts'
import { DAY, MINUTE, type TestApp, temporaryFolder, testApp } from '../support/app.ts'
import { operator } from '../support/operator.ts'
import { command, type ServerProcess, serverProcess } from '../support/process.ts'
import { codesOf, documentOf, type OpenApi } from './document.ts'
import { fuzz, type Report, textOf } from './fuzz.ts'

const seed = Number(process.env.FUZZ_SEED ?? 20_261_122)
const rounds = Number(process.env.FUZZ_ROUNDS ?? 4)
const MiB = 1024 * 1024

const seen: Report[] = []
let api: OpenApi

describe(`with FUZZ_SEED=${seed} FUZZ_ROUNDS=${rounds}`, () => {
  it.each([
    ['by default', {}],
    ['where PINs are sent', { PIN_DELIVERY: 'console' }],
    ['with little room', { QUOTA_BYTES: '9000', MAX_FILE_BYTES: '4096' }],
  ])('the server keeps its word %s', async (_when, settings: Record<string, string>) => {
    const before = handles()
    const app = await testApp({ LOG_LEVEL: 'info', ...settings })
    const turns = [MINUTE, 10 * MINUTE, DAY, 31 * DAY]
    const between = async (round: number) => {
      app.clock.turn(turns[round % turns.length] as number)
      app.sweep()
      await app.settled()
    }
    api = (await app.request('/docs/json')).body as OpenApi

    const report = await fuzz(targetOf(app), api, { seed, rounds, between })

    seen.push(report)
    expect(textOf(report)).toBe('')
    expectQuiet(app.log)
    const { vault } = await operator(app)
    expect(await vault.verify(() => {})).toSatisfy(isSound)
    await expect.poll(() => app.connections.filter(({ destroyed }) => !destroyed), { timeout: 10_000 }).toEqual([])
    await app.close()
    await expect.poll(handles, { timeout: 10_000 }).toBeLessThanOrEqual(before)
  })

  it('the process keeps neither memory nor files', async () => {
    const folder = await temporaryFolder()
    const server = serverProcess(folder, { LOG_LEVEL: 'info', RATE_LIMIT: 'off' })
    const target = { url: await server.url, mostBytes: 10 * MiB, pinOf: async () => null }
    api = (await server.request('/docs/json')).body as OpenApi
    const warmed = await fuzz(target, api, { seed: seed + rounds, rounds: Math.ceil(rounds / 2) })
    const before = { files: openFiles(server), memory: server.memory().now }

    const report = await fuzz(target, api, { seed, rounds })

    seen.push(warmed, report)
    expect(textOf(warmed) + textOf(report)).toBe('')
    await expect.poll(() => openFiles(server), { timeout: 10_000 }).toBeLessThanOrEqual(before.files)
    expect((server.memory().now - before.memory) / MiB).toBeLessThan(60)
    expect(await server.stop('SIGTERM')).toBe(0)
    expectQuiet(server.output().trim().split('\n'))
    expect((await command(folder, ['verify'])).report).toMatchObject({ ok: true })
  })

  afterAll(() => {
    process.stdout.write(`${summaryOf(seen)}\n`)
  })
})

it('every operation was done, in some mode', () => {
  const done = new Set(
    seen.flatMap(({ statuses }) =>
      [...statuses].filter(([, counts]) => [...counts.keys()].some((status) => status < 300)).map(([id]) => id),
    ),
  )
  expect(
    documentOf(api)
      .operations.map(({ id }) => id)
      .filter((id) => !done.has(id)),
  ).toEqual([])
})

function targetOf(app: TestApp) {
  return {
    url: app.url,
    mostBytes: Math.min(app.config.MAX_FILE_BYTES, 10 * MiB),
    async pinOf(requestId: string) {
      await app.settled()
      const line = app.log.findLast((one) => one.includes(`"requestId":"${requestId}","pin":`))
      return line ? (JSON.parse(line) as { pin: string }).pin : null
    },
  }
}

/** JSON lines, none about an error, and none with a token or an address. */
function expectQuiet(log: string[]) {
  const lines = log.map((line) => JSON.parse(line) as { level: number })
  expect(lines.filter(({ level }) => level >= 50)).toEqual([])
  expect(log.filter((line) => /mks_[\w-]{43}|@example\.org/.test(line))).toEqual([])
}

/** Sockets and files that keep this process from ending. */
const handles = () => process.getActiveResourcesInfo().filter((name) => /^(TCP|FS)/.test(name)).length

const openFiles = ({ pid }: ServerProcess) => readdirSync(`/proc/${pid}/fd`).length

/** How many requests, and what of the document was seen. */
function summaryOf(reports: Report[]): string {
  const { operations } = documentOf(api)
  const counts = new Map<number, number>()
  let requests = 0
  for (const report of reports) {
    requests += report.requests
    for (const one of report.statuses.values()) {
      for (const [status, count] of one) counts.set(status, (counts.get(status) ?? 0) + count)
    }
  }
  // Of those that a sound server gives.
  const documented = operations.flatMap((operation) =>
    Object.keys(operation.responses)
      .map((status) => ({ operation, status: Number(status) }))
      .filter(({ status }) => status !== 500 && status !== 503),
  )
  const missed = documented.filter(
    ({ operation, status }) => !reports.some(({ statuses }) => statuses.get(operation.id)?.has(status)),
  )
  const missedText = missed.map(
    ({ operation, status }) => `${operation.id} ${status} (${codesOf(operation, status).join(' ')})`,
  )
  return [
    `${requests} answers: ${[...counts]
      .sort(([a], [b]) => a - b)
      .map(([status, count]) => `${status} × ${count}`)
      .join(', ')}`,
    `${documented.length - missed.length} of ${documented.length} documented statuses of ${operations.length} operations seen`,
    `not seen: ${missedText.join(', ')}`,
  ].join('\n')
}

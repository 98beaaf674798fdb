/** Rounds of requests from several clients at once. Every round is told by its seed alone. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { audit } from './audit.ts'
import { diceOf } from './chance.ts'
import { crew } from './crew.ts'
import { documentOf, type OpenApi } from './document.ts'
import { lane, plain, type Target, type Witness } from './lane.ts'
import { type Answer, shown } from './line.ts'
import { memory } from './memory.ts'

/** Clients with a vault of their own, and clients that share one. */
const ALONE = 5
const TOGETHER = 3
const STEPS = 60

const ARTIFACTS = join(import.meta.dirname, '..', '..', 'artifacts', 'fuzz')

export interface Failure {
  what: string
  seed: number
  request: string
  answer: string
  times: number
}

export interface Report {
  requests: number
  /** How often each operation was answered with each status. */
  statuses: Map<string, Map<number, number>>
  failures: Failure[]
}

export interface FuzzOptions {
  seed: number
  rounds: number
  /** What is done between two rounds: time passes, say. */
  between?: (round: number) => Promise<void>
}

export async function fuzz(target: Target, api: OpenApi, { seed, rounds, between }: FuzzOptions): Promise<Report> {
  const document = documentOf(api)
  const report: Report = { requests: 0, statuses: new Map(), failures: [] }
  for (let n = 0; n < rounds; n += 1) {
    const witness = witnessOf(report, seed + n)
    const dice = diceOf(String(seed + n))
    const strangers = crew(false)
    const shared = memory()
    const lanes = Array.from({ length: ALONE + TOGETHER }, (_, i) => {
      const own = i < ALONE ? { memory: memory(), crew: crew(true) } : { memory: shared, crew: strangers }
      return { ...own, ...lane({ target, document, dice: dice.for(`lane ${i}`), strangers, witness, ...own }) }
    })
    await Promise.all(
      lanes.map(async ({ tour, step }) => {
        await tour()
        for (let done = 0; done < STEPS; done += 1) await step()
      }),
    )
    for (const { crew, exchange } of lanes.slice(0, ALONE + 1)) {
      const get = async (path: string, token: string) =>
        (await exchange(plain(path, token), ['GET'])).answers[0] ?? null
      for (const fault of await audit(crew, get)) witness.failed(fault, Buffer.alloc(0), [])
    }
    await Promise.all(lanes.map(({ end }) => end()))
    await between?.(n)
  }
  return report
}

function witnessOf(report: Report, seed: number): Witness {
  return {
    answered(operation, status) {
      report.requests += 1
      const counts = report.statuses.get(operation) ?? new Map<number, number>()
      report.statuses.set(operation, counts.set(status, (counts.get(status) ?? 0) + 1))
    },
    failed(what, request, answers) {
      const known = report.failures.find((failure) => failure.what === what)
      if (known) known.times += 1
      else
        report.failures.push({
          what,
          seed,
          times: 1,
          request: kept(request, report.failures.length),
          answer: told(answers),
        })
    },
  }
}

/** The request is kept whole in a file, for `nc` to send it again. */
function kept(request: Buffer, n: number): string {
  if (request.length === 0) return 'the audit'
  const path = join(ARTIFACTS, `request-${n}`)
  mkdirSync(ARTIFACTS, { recursive: true })
  writeFileSync(path, request)
  return `${shown(request, 1500)} (whole in ${path})`
}

const told = (answers: Answer[]) =>
  answers.map(({ status, headers, body }) => `${status} ${JSON.stringify(headers)} ${shown(body)}`).join('\n')

/** All that went wrong, and how to see it again. */
export function textOf({ failures }: Report): string {
  return failures
    .map(
      ({ what, times, seed, request, answer }) =>
        `${what} (${times} times)\n  again: FUZZ_SEED=${seed} FUZZ_ROUNDS=1 npm run test:fuzz\n  request: ${request}\n  answer: ${answer || 'none'}`,
    )
    .join('\n')
}

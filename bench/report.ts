/** Formats the results as text. */
import type { Block } from './bystander.ts'
import type { Side } from './cluster.ts'
import type { DatabaseRows } from './database-rows.ts'
import type { Listing } from './listing.ts'
import type { Memory } from './servers.ts'

export interface Sample {
  /** Per second. */
  rate: number
  /** The CPU time of the server: seconds for a GiB, or for 1,000 requests. `null` if the system does not report it. */
  cpu: number | null
  /** Its memory during the measurement; `null` if not measured. */
  memory: Memory | null
}

export type Round = Partial<Record<'ours' | 'bare' | 'copying' | 'nginx', Sample>>

/** The goals: ratios to the bare server, and absolute values on a machine like the one in the README. */
export interface Aims {
  /** The minimum ratio of the rates. */
  rateRatio: number
  /** The maximum ratio of the CPU times. */
  cpuRatio?: number
  /** The minimum rate. */
  rate?: number
  /** The maximum CPU time. */
  cpu?: number
}

/** The cost of the first and of the last page of a list in each round. */
export interface Pages {
  sort: string
  rounds: { first: number; last: number }[]
}

/** Two kinds of the same in each round. `null` if the system does not report it. */
export interface Compared {
  title: string
  rounds: { one: number | null; other: number | null }[]
  aim: ['≥' | '≤', number]
}

interface Bounds {
  ratio: string
  own: string
}

const COLUMNS = [36, 9, 8, 9, 22, 8, 9, 9]

export const heading = `${row(['median', 'ours', 'aim', 'bare', 'ours/bare (spread)', 'aim', 'copying', 'nginx'])}\n`

/** A line of rates and a line of CPU times: medians, and for the ratios of the rounds also minimum and maximum. */
export function measureLines(title: string, cpuUnit: string, aims: Aims, rounds: Round[]): string {
  const rates = { ratio: bound('≥', aims.rateRatio), own: bound('≥', aims.rate) }
  const cpus = { ratio: bound('≤', aims.cpuRatio), own: bound('≤', aims.cpu) }
  const rate = line(title, rounds, ({ rate }) => rate, rates)
  const cpu = line(`  CPU ${cpuUnit}`, rounds, ({ cpu }) => cpu, cpus)
  return `${rate}\n${cpu}\n`
}

/** The highest growth of resident memory by one upload. */
export function growthLine(title: string, rounds: Round[]): string {
  const growth = rounds.flatMap(({ ours }) => (ours?.memory ? [ours.memory.growth] : []))
  return `${title}: ${growth.length === 0 ? 'n/a' : `at most ${Math.max(...growth).toFixed(0)} MiB`}\n`
}

export function peakLine(title: string, memory: Memory | null, aimMib: number): string {
  return `${title}: ${memory === null ? 'n/a' : `${memory.peak.toFixed(0)} MiB`} resident at the most (aim < ${aimMib} MiB)\n`
}

export const pagesHeading = (rows: number) =>
  `\n${row([`list of ${rows.toLocaleString('en')} files, ms/page`, 'first', '', 'last', 'last/first (spread)', 'aim'])}\n`

export function pagesLine({ sort, rounds }: Pages, aim: number): string {
  const first = amount(rounds.map(({ first }) => first))
  const last = amount(rounds.map(({ last }) => last))
  const ratios = spread(rounds.map(({ first, last }) => last / first))
  return `${row([`  by ${sort}`, first, '', last, ratios, bound('≤', aim)])}\n`
}

export const lookupsHeading = `\n${row(['lookup, CPU ms', 'ours', 'aim', '', 'spread'])}\n`

export function lookupLine({ title, rounds }: Listing['lookups'][number], aim: number): string {
  return `${row([`  ${title}`, amount(rounds), bound('≤', aim), '', spread(rounds)])}\n`
}

export const blockHeading = (rows: number) =>
  `\n${row([`another user, beside ${rows.toLocaleString('en')} files`, 'wait, ms', 'aim', 'CPU, ms'])}\n`

/** The longest wait, and the highest CPU time of the server in one wait. */
export function blockLine({ doing, longestMs, busiestMs }: Block, aim: number): string {
  return `${row([`  ${doing}`, longestMs.toFixed(0), bound('≤', aim), busiestMs.toFixed(0)])}\n`
}

export const clusterHeading = `\n${row(['behind nginx, requests/s', 'one', '', 'two', 'two/one (spread)', 'aim'])}\n`

export function clusterLine({ name, perSecond }: Side, aim: number): string {
  const one = amount(perSecond.map(({ one }) => one))
  const two = amount(perSecond.map(({ two }) => two))
  const ratios = spread(perSecond.map(({ one, two }) => two / one))
  return `${row([`  ${name}`, one, '', two, ratios, bound('≥', aim)])}\n`
}

export const comparedHeading = (what: string) => `\n${row([what, 'one', '', 'other', 'one/other (spread)', 'aim'])}\n`

export function comparedLine({ title, rounds, aim }: Compared): string {
  const [one, other] = [rounds.map(({ one }) => one), rounds.map(({ other }) => other)]
  const ratios = spread(rounds.map(({ one, other }) => (one === null || !other ? null : one / other)))
  return `${row([title, amount(one), '', amount(other), ratios, bound(...aim)])}\n`
}

export function rowsLines(rows: number, { relations, logBytesPerUpload }: DatabaseRows): string {
  const sum = relations.reduce((all, { bytesPerRow }) => all + bytesPerRow, 0)
  const lines = [...relations, { name: 'together', bytesPerRow: sum }].map(({ name, bytesPerRow }) =>
    row([`  ${name}`, bytesPerRow.toFixed(0)]),
  )
  const heading = row([`${rows.toLocaleString('en')} files in PostgreSQL`, 'bytes/row'])
  const log = row(['log of an upload, without page images', logBytesPerUpload.toFixed(0)])
  return `\n${[heading, ...lines, log].join('\n')}\n`
}

function line(title: string, rounds: Round[], pick: (sample: Sample) => number | null, { ratio, own }: Bounds): string {
  const of = (name: keyof Round) =>
    rounds.map((round) => {
      const sample = round[name]
      return sample ? pick(sample) : null
    })
  const ours = of('ours')
  const bare = of('bare')
  const ratios = ours.map((value, i) => (value === null || bare[i] == null ? null : value / bare[i]))
  return row([
    title,
    amount(ours),
    own,
    amount(bare),
    spread(ratios),
    ratio,
    amount(of('copying')),
    amount(of('nginx')),
  ])
}

function spread(values: (number | null)[]): string {
  const known = values.filter((value) => value !== null)
  if (known.length === 0) return 'n/a'
  return `${median(known).toFixed(2)} (${Math.min(...known).toFixed(2)}–${Math.max(...known).toFixed(2)})`
}

function bound(side: '≥' | '≤', value: number | undefined): string {
  return value === undefined ? '' : `${side} ${figure(value)}`
}

function amount(values: (number | null)[]): string {
  const known = values.filter((value) => value !== null)
  return known.length === 0 ? '–' : figure(median(known))
}

function figure(value: number): string {
  return value < 100 ? value.toFixed(2) : Math.round(value).toLocaleString('en')
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length / 2
  return ((sorted[Math.ceil(middle) - 1] as number) + (sorted[Math.floor(middle)] as number)) / 2
}

function row(cells: string[]): string {
  return cells
    .map((cell, i) => (i === 0 ? cell.padEnd(COLUMNS[i] as number) : cell.padStart(COLUMNS[i] as number)))
    .join(' ')
    .trimEnd()
}

/** The table at the end of a run. */
import type { Counts, Journal } from './journal.ts'
import type { Sample } from './watch.ts'

const MiB = 1024 * 1024
const MOST_ROWS = 16

export interface Row extends Counts {
  day: number
  sample: Sample
}

const COLUMNS = [
  'day',
  'requests',
  'MiB up',
  'MiB down',
  'broken',
  'refused',
  'faults',
  'commands',
  'MiB RSS',
  'open files',
]

export function printReport(title: string, rows: Row[], journal: Journal, ends: string[]): void {
  const lines = [
    title,
    ...table([COLUMNS, ...merged(rows).map(cellsOf)]),
    `did: ${tally(journal.acts)}`,
    `refused: ${tally(journal.refusals)}`,
    ...ends,
    `violations: ${journal.violations.length}`,
    ...journal.violations.map((text) => `  ${text}`),
  ]
  process.stdout.write(`\n${lines.join('\n')}\n\n`)
}

function cellsOf({
  day,
  requests,
  sentBytes,
  receivedBytes,
  broken,
  refusals,
  faults,
  commands,
  sample,
}: Row): string[] {
  const numbers = [
    day,
    requests,
    sentBytes / MiB,
    receivedBytes / MiB,
    broken,
    refusals,
    faults,
    commands,
    sample.memory / MiB,
    sample.files,
  ]
  return numbers.map((number) => String(Math.round(number)))
}

/** Rounds of a long run share rows. */
function merged(rows: Row[]): Row[] {
  const share = Math.ceil(rows.length / MOST_ROWS)
  const merged: Row[] = []
  for (const [n, row] of rows.entries()) {
    const last = n % share === 0 ? undefined : merged.pop()
    const sums = Object.fromEntries(COUNTS.map((name) => [name, (last?.[name] ?? 0) + row[name]])) as unknown as Counts
    merged.push({ ...row, ...sums })
  }
  return merged
}

const COUNTS = ['requests', 'sentBytes', 'receivedBytes', 'broken', 'refusals', 'faults', 'commands'] as const

function table(rows: string[][]): string[] {
  const widths = COLUMNS.map((_, n) => Math.max(...rows.map((row) => (row[n] ?? '').length)))
  return rows.map((row) => row.map((cell, n) => cell.padStart(widths[n] ?? 0)).join('  '))
}

function tally(counts: Map<string, number>): string {
  const entries = [...counts].sort(([a], [b]) => (a < b ? -1 : 1))
  return entries.map(([name, count]) => `${name} ${count}`).join(', ') || 'nothing'
}

/** What came out, as text. */

export interface Sample {
  /** A second. */
  rate: number
  /** What the server's process took: seconds for a GiB, or for 1,000 requests; `null` where the system does not tell. */
  cpu: number | null
  /** How far its memory rose meanwhile; `null` where nobody looked. */
  memoryMib: number | null
}

export type Round = Partial<Record<'ours' | 'bare' | 'nginx', Sample>>

const COLUMNS = [36, 9, 9, 22, 6, 9]

export const heading = `${row(['median', 'ours', 'bare', 'ours/bare (spread)', 'aim', 'nginx'])}\n`

/** A line of rates and one of CPU: medians, and of the ratio within each round also the least and the greatest. */
export function measureLines(title: string, cpuUnit: string, aim: number, rounds: Round[]): string {
  const rate = line(title, rounds, ({ rate }) => rate, aim.toFixed(2))
  const cpu = line(`  CPU ${cpuUnit}`, rounds, ({ cpu }) => cpu, '')
  return `${rate}\n${cpu}\n`
}

/** The most that one upload added to what the server had resident before it. */
export function memoryLine(title: string, rounds: Round[]): string {
  const growth = rounds.flatMap(({ ours }) => (ours?.memoryMib == null ? [] : [ours.memoryMib]))
  return `${title}: ${growth.length === 0 ? 'n/a' : `at most ${Math.max(...growth).toFixed(0)} MiB`}\n`
}

function line(title: string, rounds: Round[], pick: (sample: Sample) => number | null, aim: string): string {
  const of = (name: keyof Round) =>
    rounds.map((round) => {
      const sample = round[name]
      return sample ? pick(sample) : null
    })
  const ours = of('ours')
  const bare = of('bare')
  const ratios = ours.map((value, i) => (value === null || bare[i] == null ? null : value / bare[i]))
  return row([title, amount(ours), amount(bare), spread(ratios), aim, amount(of('nginx'))])
}

function spread(values: (number | null)[]): string {
  const known = values.filter((value) => value !== null)
  if (known.length === 0) return 'n/a'
  return `${median(known).toFixed(2)} (${Math.min(...known).toFixed(2)}–${Math.max(...known).toFixed(2)})`
}

function amount(values: (number | null)[]): string {
  const known = values.filter((value) => value !== null)
  if (known.length === 0) return '–'
  const value = median(known)
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

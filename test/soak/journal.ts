/** Counts what happened, and collects what must not have happened. */

export interface Counts {
  requests: number
  sentBytes: number
  receivedBytes: number
  /** Requests without a whole response. */
  broken: number
  refusals: number
  faults: number
  commands: number
}

export interface Journal {
  /** Since the last row. */
  counts: Counts
  /** By what the phones did. */
  acts: Map<string, number>
  /** Refusals and errors by status and code; those of outages have a mark. */
  refusals: Map<string, number>
  violations: string[]
  act(kind: string): void
  /** Counts a wrong result. The run goes on. */
  violation(text: string): void
  /** Returns the counts since the last call. */
  row(): Counts
}

/** One cause may have many effects. */
const MOST_VIOLATIONS = 100

export function openJournal(): Journal {
  let counts = noCounts()
  const acts = new Map<string, number>()
  const violations: string[] = []
  return {
    get counts() {
      return counts
    },
    acts,
    refusals: new Map(),
    violations,
    act: (kind) => add(acts, kind),
    violation(text) {
      if (violations.length >= MOST_VIOLATIONS) return
      violations.push(text)
      process.stderr.write(`violation: ${text}\n`)
    },
    row() {
      const row = counts
      counts = noCounts()
      return row
    },
  }
}

export function add(tally: Map<string, number>, key: string): void {
  tally.set(key, (tally.get(key) ?? 0) + 1)
}

const noCounts = (): Counts => ({
  ...{ requests: 0, sentBytes: 0, receivedBytes: 0, broken: 0, refusals: 0, faults: 0, commands: 0 },
})

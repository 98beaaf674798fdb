/**
 * Work that grows with what a user has is done in pieces. A piece takes a few milliseconds, and all other requests wait for it. So
 * an iteration of the event loop runs one piece, or a few if they are small, however many requests have work to do.
 */
export interface Turns {
  /**
   * Resolves when the next piece for this owner may run. Owners take turns, so the many requests of one owner delay a piece of
   * another owner by one piece. It is no lock: while a piece waits for a database on another machine, other pieces run.
   */
  next(owner: string): Promise<void>
  /**
   * No piece runs in this iteration, but for one iteration of many in a row. An iteration accepts one connection. So while
   * connections wait to be accepted, iterations must be short.
   */
  skip(): void
}

/** The maximum of iterations in a row without a piece: those who connect without a pause do not stop the pieces. */
const SKIPPED_IN_A_ROW = 64
/** The maximum of CPU time without a piece: those who connect may also send what makes iterations long. */
const SKIPPED_MS = 20

/** `atOnce` is the number of pieces of one iteration. */
export function openTurns(atOnce = 1): Turns {
  /** The pieces that wait, by owner. The owner whose turn is next is the first. If there are any, `run` is scheduled. */
  const waiting = new Map<string, (() => void)[]>()
  let isSkipped = false
  let skipped = 0
  let ranAt = 0

  return {
    next(owner) {
      return new Promise((resolve) => {
        const line = waiting.get(owner)
        if (line) line.push(resolve)
        else waiting.set(owner, [resolve])
        if (line || waiting.size > 1) return
        ranAt = cpuMs()
        setImmediate(run)
      })
    },

    skip() {
      isSkipped = true
    },
  }

  function run(): void {
    const mayWait = skipped < SKIPPED_IN_A_ROW && cpuMs() - ranAt < SKIPPED_MS
    skipped = isSkipped && mayWait ? skipped + 1 : 0
    isSkipped = false
    if (skipped === 0) for (let n = 0; n < atOnce; n += 1) nextPiece()?.()
    if (skipped === 0) ranAt = cpuMs()
    if (waiting.size > 0) setImmediate(run)
  }

  function nextPiece(): (() => void) | undefined {
    for (const [owner, line] of waiting) {
      const begin = line.shift()
      // The owner goes behind the others.
      waiting.delete(owner)
      if (line.length > 0) waiting.set(owner, line)
      return begin
    }
    return undefined
  }
}

/** Not the time of a clock, which also counts what other processes do. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

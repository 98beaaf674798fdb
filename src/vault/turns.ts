/**
 * Work that grows with what a user has is done in pieces. A piece takes a few milliseconds, and all other requests wait for it. So
 * an iteration of the event loop runs one piece, or a few if they are small, however many requests have work to do.
 */
export interface Turns {
  /**
   * Resolves when the next piece for this owner may run. Networks take turns, and in each of them its owners. So the many requests
   * of one owner, or of many owners of one network, delay a piece of another network by one piece. It is no lock: while a piece
   * waits for a database on another machine, other pieces run.
   */
  next(owner: string): Promise<void>
  /** Whether a piece may run at once: no piece waits, this iteration may run another one, and there is no crowd. If so, it counts. */
  takeFree(): boolean
  /**
   * A connection was accepted in this iteration; an iteration accepts one. If it is one of a crowd, no piece runs in this iteration,
   * but for one iteration of many in a row. While connections wait to be accepted, iterations must be short.
   */
  skip(): void
}

/**
 * This number of iterations in a row with a new connection is a crowd. Pieces are skipped from then on, and at least one iteration
 * in 65 runs a piece. A smaller number skips nothing: a client that connects anew expects order.
 */
const CROWD = 8
/** New connections delay pieces for at most this many iterations in a row. */
const SKIPPED_IN_A_ROW = 64
/** New connections delay pieces for at most this much CPU time, because an iteration can be long. */
const SKIPPED_MS = 20

/** `atOnce` is the number of pieces of one iteration. By default each owner is a network of its own. */
export function openTurns(atOnce = 1, networkOf: (owner: string) => string = (owner) => owner): Turns {
  /** The pieces that wait, by network and owner. Those whose turn is next are the first. If there are any, `run` is scheduled. */
  const waiting = new Map<string, Map<string, (() => void)[]>>()
  let isSkipped = false
  /** The iterations in a row for which `skip` was called. */
  let inARow = 0
  /** The free pieces of this iteration. */
  let taken = 0
  let isScheduled = false
  let skipped = 0
  let skippedSince = 0

  return {
    next(owner) {
      return new Promise((resolve) => {
        const network = networkOf(owner)
        const lines = waiting.get(network) ?? new Map<string, (() => void)[]>()
        waiting.set(network, lines)
        const line = lines.get(owner)
        if (line) line.push(resolve)
        else lines.set(owner, [resolve])
        schedule()
      })
    },

    takeFree() {
      if (waiting.size > 0 || inARow >= CROWD || taken >= atOnce) return false
      taken += 1
      schedule()
      return true
    },

    skip() {
      isSkipped = true
      schedule()
    },
  }

  function schedule(): void {
    if (!isScheduled) setImmediate(run)
    isScheduled = true
  }

  function run(): void {
    isScheduled = false
    inARow = isSkipped ? inARow + 1 : 0
    isSkipped = false
    skipped = inARow >= CROWD && mayWait() ? skipped + 1 : 0
    if (skipped === 0) for (let n = taken; n < atOnce; n += 1) nextPiece()?.()
    taken = 0
    if (waiting.size > 0 || inARow > 0) schedule()
  }

  function mayWait(): boolean {
    if (skipped === 0) skippedSince = cpuMs()
    return skipped < SKIPPED_IN_A_ROW && cpuMs() - skippedSince < SKIPPED_MS
  }

  function nextPiece(): (() => void) | undefined {
    for (const [network, lines] of waiting) {
      for (const [owner, line] of lines) {
        const begin = line.shift()
        // The owner goes behind the others of the network, and the network behind the others.
        lines.delete(owner)
        if (line.length > 0) lines.set(owner, line)
        waiting.delete(network)
        if (lines.size > 0) waiting.set(network, lines)
        return begin
      }
    }
    return undefined
  }
}

/** Not the time of a clock, which also counts what other processes do. */
function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

/**
 * Work that grows with what a user has is done in pieces. A piece takes a few milliseconds, and all other requests wait for it. So
 * an iteration of the event loop runs one piece, however many requests have work to do.
 */
export interface Turns {
  /**
   * Resolves when the next piece for this owner may run. Owners take turns, so the many requests of one owner delay a piece of
   * another owner by one piece. It is no lock: while a piece waits for a database on another machine, other pieces run.
   */
  next(owner: string): Promise<void>
}

export function openTurns(): Turns {
  /** The pieces that wait, by owner. The owner whose turn is next is the first. If there are any, `run` is scheduled. */
  const waiting = new Map<string, (() => void)[]>()

  return {
    next(owner) {
      return new Promise((resolve) => {
        const line = waiting.get(owner)
        if (line) line.push(resolve)
        else waiting.set(owner, [resolve])
        if (!line && waiting.size === 1) setImmediate(run)
      })
    },
  }

  function run(): void {
    for (const [owner, line] of waiting) {
      const begin = line.shift()
      // The owner goes behind the others.
      waiting.delete(owner)
      if (line.length > 0) waiting.set(owner, line)
      if (waiting.size > 0) setImmediate(run)
      begin?.()
      return
    }
  }
}

/** Decides which statement gets the next free connection. Keys take turns: many statements of one key delay one of another key by one. */
export interface FairQueue {
  /** Resolves once the statement may take a connection. `over` ends the wait; its error is thrown. */
  enter(key: string, over: Promise<never>): Promise<void>
  /** The statement of this key does not use a connection any more. */
  leave(key: string): void
  waiting(): number
}

/**
 * At most `most` statements use a connection at a time, at most `mostOfKey` of one key. So slow statements of one key leave connections
 * for others.
 */
export function fairQueue(most: number, mostOfKey: number): FairQueue {
  /** The waiting statements by key. The key whose turn is next is the first. */
  const lines = new Map<string, Set<() => void>>()
  const running = new Map<string, number>()
  let inAll = 0

  return {
    async enter(key, over) {
      if (fits(key)) return begin(key)
      const line = lines.get(key) ?? new Set()
      lines.set(key, line)
      let begun = () => {}
      const turn = new Promise<void>((resolve) => {
        begun = resolve
        line.add(begun)
      })
      try {
        await Promise.race([turn, over])
      } catch (error) {
        // It may have begun at the same moment.
        if (!line.delete(begun)) leave(key)
        else if (line.size === 0) lines.delete(key)
        throw error
      }
    },

    leave,
    waiting: () => [...lines.values()].reduce((sum, line) => sum + line.size, 0),
  }

  function leave(key: string): void {
    const left = (running.get(key) ?? 1) - 1
    if (left > 0) running.set(key, left)
    else running.delete(key)
    inAll -= 1
    for (const [next, line] of lines) {
      if (!fits(next)) continue
      const [begun] = line
      if (begun) line.delete(begun)
      // The key goes behind the others.
      lines.delete(next)
      if (line.size > 0) lines.set(next, line)
      begin(next)
      begun?.()
      return
    }
  }

  function fits(key: string): boolean {
    return inAll < most && (running.get(key) ?? 0) < mostOfKey
  }

  function begin(key: string): void {
    running.set(key, (running.get(key) ?? 0) + 1)
    inAll += 1
  }
}

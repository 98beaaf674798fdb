/** A semaphore with `count` permits. Waiting callers get a permit in their order. */
export function semaphore(count: number) {
  let free = count
  const waiting: (() => void)[] = []

  return {
    async acquire(): Promise<void> {
      if (free > 0) free -= 1
      else await new Promise<void>((resolve) => waiting.push(resolve))
    },

    release(): void {
      const next = waiting.shift()
      if (next) next()
      else free += 1
    },
  }
}

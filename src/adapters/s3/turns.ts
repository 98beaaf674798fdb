/** At most so many at a time; who comes then waits for a turn, in the order of coming. */
export function turns(count: number) {
  let free = count
  const waiting: (() => void)[] = []

  return {
    async take(): Promise<void> {
      if (free > 0) free -= 1
      else await new Promise<void>((resolve) => waiting.push(resolve))
    },

    give(): void {
      const next = waiting.shift()
      if (next) next()
      else free += 1
    },
  }
}

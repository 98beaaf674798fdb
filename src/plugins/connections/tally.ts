/** Sums by client. A client whose sum is 0 uses no memory. */
export function tally() {
  const sums = new Map<string, number>()
  return {
    of,
    add(client: string, change: number) {
      const sum = of(client) + change
      if (sum > 0) sums.set(client, sum)
      else sums.delete(client)
    },
  }

  function of(client: string): number {
    return sums.get(client) ?? 0
  }
}

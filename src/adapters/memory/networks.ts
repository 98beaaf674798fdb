import type { Networks } from '../../ports/ports.ts'

/** The maximum of users without a running request. */
const MOST_RECENT = 10_000

export function memoryNetworks(): Networks {
  const running = new Map<string, { network: string; requests: number }>()
  /** Work may go on when the request is over. The user whose request ended last is at the end. */
  const recent = new Map<string, string>()

  return {
    begin(owner, network) {
      const requests = running.get(owner)?.requests ?? 0
      running.set(owner, { network, requests: requests + 1 })
      recent.delete(owner)
      return () => end(owner)
    },

    of: (owner) => running.get(owner)?.network ?? recent.get(owner) ?? null,
  }

  function end(owner: string): void {
    const known = running.get(owner)
    if (!known) return
    known.requests -= 1
    if (known.requests > 0) return
    running.delete(owner)
    recent.set(owner, known.network)
    const [oldest] = recent.keys()
    if (recent.size > MOST_RECENT && oldest !== undefined) recent.delete(oldest)
  }
}

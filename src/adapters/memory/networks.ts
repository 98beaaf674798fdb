import type { Networks } from '../../ports/ports.ts'

/** More than there can be connections. So users with a running request are among them. */
const MOST_REMEMBERED = 10_000

export function memoryNetworks(): Networks {
  const networks = new Map<string, string>()

  return {
    note(owner, network) {
      // The last noted user is at the end.
      networks.delete(owner)
      networks.set(owner, network)
      const [oldest] = networks.keys()
      if (networks.size > MOST_REMEMBERED && oldest !== undefined) networks.delete(oldest)
    },

    of: (owner) => networks.get(owner) ?? null,
  }
}

/**
 * The network of each user, as of the latest request. Users of one network share its turns: otherwise whoever has many accounts would
 * have as many turns.
 */
export interface Networks {
  /** A request of this user came from this network. */
  note(owner: string, network: string): void
  /** A user of whom nothing is known is a network alone. */
  of(owner: string): string
}

/** More than there can be connections. So users with a running request are among them. */
const MOST_REMEMBERED = 10_000

export function openNetworks(): Networks {
  const networks = new Map<string, string>()

  return {
    note(owner, network) {
      // The last noted user is at the end.
      networks.delete(owner)
      networks.set(owner, network)
      if (networks.size <= MOST_REMEMBERED) return
      for (const oldest of networks.keys()) {
        networks.delete(oldest)
        return
      }
    },

    of: (owner) => networks.get(owner) ?? owner,
  }
}

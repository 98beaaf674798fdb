/**
 * Decides which statement gets the next free connection. Networks take turns, and in each of them its keys: many statements of one
 * key, or of many keys of one network, delay one of another network by one.
 */
export interface FairQueue {
  /**
   * Resolves once the statement may take a connection, with a function to call when it does not use it any more. `over` ends the
   * wait; its error is thrown.
   */
  enter(key: string, over: Promise<never>): Promise<() => void>
  waiting(): number
}

export interface QueueRules {
  /** The maximum of statements that use a connection at a time. */
  most: number
  /** The maximum of one network, and of one key. So slow statements of one leave connections for others. */
  mostOfNetwork: number
  mostOfKey: number
  networkOf(key: string): string
}

export function fairQueue({ most, mostOfNetwork, mostOfKey, networkOf }: QueueRules): FairQueue {
  /** The waiting statements by network and key. Those whose turn is next are the first. */
  const networks = new Map<string, Map<string, Set<() => void>>>()
  const ofNetwork = new Map<string, number>()
  const ofKey = new Map<string, number>()
  let inAll = 0

  return {
    async enter(key, over) {
      const network = networkOf(key)
      const leave = () => end(network, key)
      if (fits(network) && fitsKey(key)) {
        begin(network, key)
        return leave
      }
      const lines = networks.get(network) ?? new Map<string, Set<() => void>>()
      networks.set(network, lines)
      const line = lines.get(key) ?? new Set()
      lines.set(key, line)
      let begun = () => {}
      const turn = new Promise<void>((resolve) => {
        begun = resolve
        line.add(begun)
      })
      try {
        await Promise.race([turn, over])
        return leave
      } catch (error) {
        // It may have begun at the same moment.
        if (!line.delete(begun)) leave()
        else if (line.size === 0) remove(network, key)
        throw error
      }
    },

    waiting: () =>
      [...networks.values()].flatMap((lines) => [...lines.values()]).reduce((sum, { size }) => sum + size, 0),
  }

  function end(network: string, key: string): void {
    count(ofNetwork, network, -1)
    count(ofKey, key, -1)
    inAll -= 1
    beginNext()
  }

  function beginNext(): void {
    for (const [network, lines] of networks) {
      if (!fits(network)) continue
      for (const [key, line] of lines) {
        if (!fitsKey(key)) continue
        const [begun] = line
        if (begun) line.delete(begun)
        // The key goes behind the others of the network, and the network behind the others.
        remove(network, key)
        if (line.size > 0) lines.set(key, line)
        networks.delete(network)
        if (lines.size > 0) networks.set(network, lines)
        begin(network, key)
        begun?.()
        return
      }
    }
  }

  function remove(network: string, key: string): void {
    const lines = networks.get(network)
    lines?.delete(key)
    if (lines?.size === 0) networks.delete(network)
  }

  function fits(network: string): boolean {
    return inAll < most && (ofNetwork.get(network) ?? 0) < mostOfNetwork
  }

  function fitsKey(key: string): boolean {
    return (ofKey.get(key) ?? 0) < mostOfKey
  }

  function begin(network: string, key: string): void {
    count(ofNetwork, network, 1)
    count(ofKey, key, 1)
    inAll += 1
  }
}

function count(running: Map<string, number>, client: string, change: number): void {
  const sum = (running.get(client) ?? 0) + change
  if (sum > 0) running.set(client, sum)
  else running.delete(client)
}

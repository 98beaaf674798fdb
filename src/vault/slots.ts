/** A limited number of operations of each network at a time, for an engine that works on all of them in the order of their arrival. */
export interface Slots {
  /**
   * Resolves when an operation of this owner may begin, with a function to call once at its end. In a network, owners take turns. So
   * an operation waits in the engine for at most `most` of each other network.
   */
  enter(owner: string): Promise<() => void>
}

interface Network {
  running: number
  /** The operations that wait, by owner. The owner whose turn is next is the first. */
  waiting: Map<string, (() => void)[]>
}

export function openSlots(most: number, networkOf: (owner: string) => string): Slots {
  const networks = new Map<string, Network>()

  return {
    async enter(owner) {
      const name = networkOf(owner)
      const network = networks.get(name) ?? { running: 0, waiting: new Map() }
      networks.set(name, network)
      if (network.running < most) network.running += 1
      else await wait(network, owner)
      return () => leave(name, network)
    },
  }

  function wait({ waiting }: Network, owner: string): Promise<void> {
    return new Promise((resolve) => {
      const line = waiting.get(owner)
      if (line) line.push(resolve)
      else waiting.set(owner, [resolve])
    })
  }

  /** The slot passes to the next operation. */
  function leave(name: string, network: Network): void {
    const [next] = network.waiting
    if (!next) {
      network.running -= 1
      if (network.running === 0) networks.delete(name)
      return
    }
    const [owner, line] = next
    const begin = line.shift()
    network.waiting.delete(owner)
    if (line.length > 0) network.waiting.set(owner, line)
    begin?.()
  }
}

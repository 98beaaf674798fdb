/** Bytes that can be stopped from outside, and that are taken piece by piece. */
export interface Stoppable {
  /** Waits for the next byte. False if there is none: at the end, or after an error. */
  hasMore(): Promise<boolean>
  /** The next bytes, at most so many. They end early if the source breaks off or is stopped. */
  upTo(bytes: number): AsyncGenerator<Uint8Array>
  /** Why the bytes ended before their end; `null` if they did not. */
  error(): unknown
  /** Ends the reading of the source. */
  release(): Promise<void>
}

/** `stopped` resolves with the error that ends the bytes. */
export function stoppable(bytes: AsyncIterable<Uint8Array>, stopped: Promise<unknown>): Stoppable {
  const iterator = bytes[Symbol.asyncIterator]()
  let interrupt: (stop: { reason: unknown }) => void = () => {}
  let stop: { reason: unknown } | null = null
  void stopped.then((reason) => {
    stop = { reason }
    interrupt(stop)
  })
  let rest: Uint8Array | null = null
  let error: unknown = null
  let ended = false

  return {
    async hasMore() {
      rest ??= await next()
      return rest !== null
    },

    async *upTo(most) {
      let left = most
      while (left > 0) {
        const chunk: Uint8Array | null = rest ?? (await next())
        rest = null
        if (!chunk) return
        if (chunk.length > left) rest = chunk.subarray(left)
        yield chunk.length > left ? chunk.subarray(0, left) : chunk
        left -= Math.min(left, chunk.length)
      }
    },

    error: () => error,

    async release() {
      if (!ended) await iterator.return?.()
    },
  }

  async function next(): Promise<Uint8Array | null> {
    while (!ended) {
      const result = await firstOf(iterator)
      if ('reason' in result) {
        error = result.reason
        ended = true
      } else if (result.done) {
        ended = true
      } else if (result.value.length > 0) {
        return result.value
      }
    }
    return null
  }

  /** `Promise.race` would keep every chunk in memory for as long as `stopped` is pending. */
  function firstOf(source: AsyncIterator<Uint8Array>): Promise<IteratorResult<Uint8Array> | { reason: unknown }> {
    return new Promise((resolve) => {
      if (stop) return resolve(stop)
      interrupt = resolve
      source.next().then(resolve, (cause: unknown) => resolve({ reason: cause }))
    })
  }
}

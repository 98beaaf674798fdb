/** The bodies of large responses. */
import { faultOf, type TimeLimit } from './transport.ts'

/** The body, chunk by chunk. It fails if no chunk comes within the limit. */
export async function* chunksOf(response: Response, limit: TimeLimit): AsyncGenerator<Uint8Array> {
  let isDone = false
  try {
    // React Native has no streams.
    const reader = response.body?.getReader?.()
    if (!reader) {
      limit.clear()
      yield new Uint8Array(await response.arrayBuffer())
      isDone = true
      return
    }
    for (;;) {
      limit.restart()
      const { done, value } = await reader.read()
      if (done) break
      yield value
    }
    isDone = true
  } catch (error) {
    throw faultOf(error, limit.isOver())
  } finally {
    // A reader that stops does not want the rest.
    if (!isDone) limit.abort()
    limit.clear()
  }
}

/** A stream that reads as fast as it is read. */
export function streamOf(chunks: AsyncGenerator<Uint8Array>): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await chunks.next()
      if (done) controller.close()
      else controller.enqueue(value)
    },
    async cancel() {
      await chunks.return(undefined)
    },
  })
}

/** Figures that must be asked for. A scrape never fails or hangs because of one. */

/** An engine may hang, but Prometheus gives up after ten seconds. */
const MOST_MS = 2000

/** Returns `null` if the figure cannot be had in time. */
export type Attempt = <T>(read: () => Promise<T>) => Promise<T | null>

/** `onError` is called for each figure that cannot be had. */
export function attempts(onError: () => void, mostMs = MOST_MS): Attempt {
  return async (read) => {
    let stop = () => {}
    const tooLate = new Promise<never>((_, reject) => {
      const timer = setTimeout(() => reject(new Error('the figure takes too long')), mostMs)
      stop = () => clearTimeout(timer)
    })
    try {
      return await Promise.race([read(), tooLate])
    } catch {
      // Not logged: the requests and the readiness check log the same errors.
      onError()
      return null
    } finally {
      stop()
    }
  }
}

/** Asks again after `ms` at the earliest, and never while it still waits. An error is kept like a result. */
export function cached<T>(read: () => Promise<T>, ms: number): () => Promise<T> {
  let last: Promise<T> | null = null
  let isWaiting = false
  let askedAt = 0
  return () => {
    const now = performance.now()
    if (last && (isWaiting || now - askedAt < ms)) return last
    askedAt = now
    isWaiting = true
    last = read().finally(() => {
      isWaiting = false
    })
    return last
  }
}

/** When a request is sent again, and after how long. */
import type { VaultError } from './errors.ts'

export interface Retry {
  /** How many times in a row a request is sent again. */
  attempts: number
  /** The first wait. Each further one is twice as long. */
  baseMs: number
  /** No wait is longer. A server that asks for a longer one is not asked again. */
  maxMs: number
}

export const USUAL_RETRY: Retry = { attempts: 8, baseMs: 500, maxMs: 30_000 }

/**
 * The wait before attempt `attempt` (from 0), or `null` for none: the server wants a longer wait. It has jitter, so that many
 * clients do not come back in the same moment.
 */
export function waitMs(
  attempt: number,
  { retryAfter }: Pick<VaultError, 'retryAfter'>,
  { baseMs, maxMs }: Retry,
  random: () => number = Math.random,
): number | null {
  if (retryAfter !== null) return retryAfter * 1000 > maxMs ? null : retryAfter * 1000 + random() * baseMs
  const longest = Math.min(maxMs, baseMs * 2 ** attempt)
  return longest / 2 + random() * (longest / 2)
}

/** The server has not carried the request out: it was busy. */
export const wasRefusedForNow = ({ code, status }: VaultError): boolean =>
  status === 429 || (status === 503 && code !== 'outcome-unknown')

/** The request may have been carried out. It may be sent again if carrying it out twice is the same as once. */
export function mayHaveArrived({ code, status }: VaultError): boolean {
  if (['network-error', 'timeout', 'incomplete-body', 'outcome-unknown'].includes(code)) return true
  return status === 408 || status === 500 || status === 502 || status === 504
}

export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(reasonOf(signal))
    const leave = () => {
      clearTimeout(timer)
      reject(reasonOf(signal))
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', leave)
      resolve()
    }, ms)
    signal?.addEventListener('abort', leave, { once: true })
  })
}

/** Not every platform has `throwIfAborted` and `reason`. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw reasonOf(signal)
}

function reasonOf(signal: AbortSignal | undefined): unknown {
  return signal?.reason ?? Object.assign(new Error('This operation was aborted'), { name: 'AbortError' })
}

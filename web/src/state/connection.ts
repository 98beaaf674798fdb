/** Whether the server can be reached. It is known from the browser, and from every request of the page. */
import { computed, effect, signal } from '@preact/signals'

const isOnline = signal(navigator.onLine)
const isReached = signal(true)

addEventListener('online', () => {
  isOnline.value = true
})
addEventListener('offline', () => {
  isOnline.value = false
})

/** `offline`: this device has no network. `unreachable`: the last request got no response. */
export const connection = computed(() => {
  if (!isOnline.value) return 'offline'
  return isReached.value ? 'good' : 'unreachable'
})

/** For the client: `fetch`, and what it says about the connection. */
export const observedFetch: typeof fetch = async (input, init) => {
  try {
    const response = await fetch(input, init)
    isReached.value = true
    return response
  } catch (error) {
    if (!init?.signal?.aborted) isReached.value = false
    throw error
  }
}

const PROBE_MS = { first: 2000, most: 30_000 }

/** While the server cannot be reached, `probe` asks it again and again: any response ends this. */
export function keepProbing(probe: () => Promise<unknown>): void {
  effect(() => {
    if (connection.value !== 'unreachable') return
    let timer: ReturnType<typeof setTimeout>
    const later = (ms: number) => {
      timer = setTimeout(() => {
        later(Math.min(PROBE_MS.most, ms * 2))
        probe().catch(() => {})
      }, ms)
    }
    later(PROBE_MS.first)
    return () => clearTimeout(timer)
  })
}

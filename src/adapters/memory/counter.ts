import type { EventCounter, RequestCounter } from '../../ports/counters.ts'
import type { Clock } from '../../ports/ports.ts'

/** Callers that have a place of their own, for each limit. */
const PLACES = 10_000
/** Places that further callers share. */
const SHARED_PLACES = 4096

interface Window {
  count: number
  endsAt: number
}

/** The places of one limit. Maps keep the order of insertion, so the windows that end first stand in front. */
interface Places {
  own: Map<string, Window>
  shared: Map<number, Window>
}

/**
 * Counts in the process's own memory, which is bounded: about 3 MiB for each limit, however many callers there are. Nobody
 * is forgotten before the window is over, since whoever can bring enough callers would be free of limits. Where all
 * places are taken, callers who come anew share some.
 */
export function memoryCounter(clock: Clock): EventCounter & RequestCounter {
  const limits = new Map<string, Places>()

  return {
    async count(limit, caller, windowMs, cost) {
      return countOne(limit, caller, windowMs, cost)
    },

    async take(key, max, windowMs) {
      return countOne(`acts in ${windowMs} ms`, key, windowMs).count <= max
    },
  }

  function countOne(limit: string, caller: string, windowMs: number, cost = 1) {
    const now = clock()
    const { own, shared } = placesOf(limit)
    forgetStale(own, windowMs, now)
    const hasPlace = own.has(caller) || own.size < PLACES
    const window = hasPlace ? open(own, caller, windowMs, now) : open(shared, shareOf(caller), windowMs, now)
    window.count += cost
    return { count: window.count, leftMs: window.endsAt - now }
  }

  function placesOf(limit: string): Places {
    const known = limits.get(limit)
    if (known) return known
    const places = { own: new Map(), shared: new Map() }
    limits.set(limit, places)
    return places
  }
}

/** The window that is open under the key, or a new one. */
function open<Key>(windows: Map<Key, Window>, key: Key, windowMs: number, now: number): Window {
  const known = windows.get(key)
  if (known && isOpen(known, windowMs, now)) return known
  const window = { count: 0, endsAt: now + windowMs }
  windows.delete(key)
  windows.set(key, window)
  return window
}

function forgetStale(windows: Map<string, Window>, windowMs: number, now: number) {
  for (const [key, window] of windows) {
    if (isOpen(window, windowMs, now)) return
    windows.delete(key)
  }
}

/** One that has longer to go than it lasts is from before the clock was set back: nobody is to wait for that time again. */
function isOpen({ endsAt }: Window, windowMs: number, now: number): boolean {
  return endsAt > now && endsAt <= now + windowMs
}

/** Evenly spread (FNV-1a). */
function shareOf(caller: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < caller.length; at += 1) hash = Math.imul(hash ^ caller.charCodeAt(at), 0x01000193)
  return (hash >>> 0) % SHARED_PLACES
}

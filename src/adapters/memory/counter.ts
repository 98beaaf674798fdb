import { hash } from 'node:crypto'
import type { EventCounter, RequestCounter } from '../../ports/counters.ts'
import type { Clock } from '../../ports/ports.ts'

/** The maximum of callers with their own window, for each limit. */
const OWN_WINDOWS = 10_000
/** The number of windows that further callers share. */
const SHARED_WINDOWS = 4096

interface Window {
  count: number
  endsAt: number
}

/** The windows of one limit. Maps keep the order of insertion, so the windows that end first come first. */
interface Windows {
  own: Map<string, Window>
  shared: Map<number, Window>
}

/**
 * Counts in the memory of the process. The memory is limited to about 3 MiB for each limit. A window is never evicted before it
 * ends: otherwise an attacker with enough addresses could evict the own window and start again. When all own windows are in use, new callers
 * share windows.
 */
export function memoryCounter(clock: Clock): EventCounter & RequestCounter {
  const limits = new Map<string, Windows>()

  return {
    async count(limit, caller, windowMs, cost) {
      return countOne(limit, caller, windowMs, cost)
    },

    async take(key, max, windowMs) {
      return countOne(`events in ${windowMs} ms`, key, windowMs).count <= max
    },
  }

  function countOne(limit: string, caller: string, windowMs: number, cost = 1) {
    const now = clock()
    const { own, shared } = windowsOf(limit)
    removeExpired(own, windowMs, now)
    const hasOwn = own.has(caller) || own.size < OWN_WINDOWS
    const window = hasOwn ? open(own, caller, windowMs, now) : open(shared, shareOf(caller), windowMs, now)
    window.count += cost
    return { count: window.count, leftMs: window.endsAt - now }
  }

  function windowsOf(limit: string): Windows {
    const known = limits.get(limit)
    if (known) return known
    const windows = { own: new Map(), shared: new Map() }
    limits.set(limit, windows)
    return windows
  }
}

/** The open window of the key, or a new one. */
function open<Key>(windows: Map<Key, Window>, key: Key, windowMs: number, now: number): Window {
  const known = windows.get(key)
  if (known && isOpen(known, windowMs, now)) return known
  const window = { count: 0, endsAt: now + windowMs }
  windows.delete(key)
  windows.set(key, window)
  return window
}

function removeExpired(windows: Map<string, Window>, windowMs: number, now: number) {
  for (const [key, window] of windows) {
    if (isOpen(window, windowMs, now)) return
    windows.delete(key)
  }
}

/** A window with more time left than its length was opened before the clock was set back. It counts as ended. */
function isOpen({ endsAt }: Window, windowMs: number, now: number): boolean {
  return endsAt > now && endsAt <= now + windowMs
}

/** Spreads callers evenly. */
function shareOf(caller: string): number {
  return hash('sha256', caller, 'buffer').readUInt16BE() % SHARED_WINDOWS
}

import type { Clock, PendingPin, PendingPinStore } from '../../ports.ts'

interface Pending {
  pin: PendingPin
  guesses: number
}

/** Pending PINs in the process's own memory: a restart forgets them, and people ask again. */
export function memoryPendingPins(clock: Clock): PendingPinStore {
  // A map keeps the order of insertion, which is close to the order of expiry: what is stale stands in front.
  const pending = new Map<string, Pending>()

  return {
    async put(pin) {
      forgetStale()
      const key = keyOf(pin)
      pending.delete(key)
      pending.set(key, { pin, guesses: 0 })
    },

    async guess(deviceId, maxAttempts) {
      const open: PendingPin[] = []
      // Where both have the same digits, the one that its owner asked for goes first.
      for (const origin of ['vouched', 'open'] as const) {
        const entry = pending.get(keyOf({ deviceId, origin }))
        if (!entry || entry.pin.expiresAt <= clock()) continue
        entry.guesses += 1
        if (entry.pin.kind === 'code' || entry.guesses <= maxAttempts) open.push(entry.pin)
      }
      return open
    },

    async spend(pin) {
      const key = keyOf(pin)
      return pending.get(key)?.pin.id === pin.id && pending.delete(key)
    },
  }

  function forgetStale() {
    for (const [key, { pin }] of pending) {
      if (pin.expiresAt > clock()) return
      pending.delete(key)
    }
  }
}

function keyOf({ deviceId, origin }: Pick<PendingPin, 'deviceId' | 'origin'>): string {
  return `${origin} ${deviceId}`
}

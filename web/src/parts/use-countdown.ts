import { useEffect, useState } from 'preact/hooks'
import { serverNow } from '../state/server-time.ts'

/** How many milliseconds are left until that time of the server, each second anew; 0 afterwards and for `null`. */
export function useCountdown(until: number | null): number {
  const leftMs = until === null ? 0 : Math.max(0, until - serverNow())
  const [, setTick] = useState(0)
  useEffect(() => {
    if (leftMs === 0) return
    // Just after a full second has passed, so that no second is shown twice or left out.
    const timer = setTimeout(() => setTick((tick) => tick + 1), (leftMs % 1000) + 5)
    return () => clearTimeout(timer)
  })
  return leftMs
}

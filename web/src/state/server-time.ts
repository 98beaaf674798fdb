/** The time of the server. The clock of a phone may be wrong by minutes, and a PIN lives for five. */
import { observedFetch } from './connection.ts'

let aheadMs: number | null = null

/** Compares the clocks once, at the first response: its `Date` is exact to a second. */
export const timedFetch: typeof fetch = async (input, init) => {
  const response = await observedFetch(input, init)
  const date = Date.parse(response.headers.get('date') ?? '')
  if (aheadMs === null && !Number.isNaN(date)) {
    const differenceMs = date - Date.now()
    aheadMs = Math.abs(differenceMs) < 5000 ? 0 : differenceMs
  }
  return response
}

export const serverNow = (): number => Date.now() + (aheadMs ?? 0)

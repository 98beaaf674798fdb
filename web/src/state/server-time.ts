/** The time of the server. The clock of a phone may be wrong by minutes, and a PIN lives for five. */

let aheadMs: number | null = null

/** Compares the clocks once, at the first response: its `Date` is exact to a second. */
export function compareClocks({ headers }: Response): void {
  const date = Date.parse(headers.get('date') ?? '')
  if (aheadMs !== null || Number.isNaN(date)) return
  const differenceMs = date - Date.now()
  aheadMs = Math.abs(differenceMs) < 5000 ? 0 : differenceMs
}

export const serverNow = (): number => Date.now() + (aheadMs ?? 0)

/** A hold: no process deletes a blob while blobs are copied. */
import type { Clock, Ports } from '../../ports/ports.ts'

/** How long a hold lasts after its process was killed. */
const LEASE_MS = 60_000
const RENEW_MS = 10_000

export interface Hold {
  /** Throws if the hold is known to be lost: then blobs may have been deleted. */
  check(): void
  /** Renews the hold. Throws if it was lost at any time before. */
  confirm(): Promise<void>
  release(): Promise<void>
}

export async function takeHold(
  { ledger, chance, clock }: Pick<Ports, 'ledger' | 'chance' | 'clock'>,
  renewMs = RENEW_MS,
): Promise<Hold> {
  const id = chance.id()
  let lost = false
  await renew()
  // If one renewal fails, the next one may still be in time. `confirm` shows whether it was.
  const timer = setInterval(() => void renew().catch(() => {}), renewMs)
  return {
    check,

    async confirm() {
      await renew()
      check()
    },

    async release() {
      clearInterval(timer)
      await ledger.release(id)
    },
  }

  function check() {
    if (lost) throw new Error('the hold on the blobs was lost: this process stood still for too long. Run it again')
  }

  async function renew() {
    const now: ReturnType<Clock> = clock()
    if (!(await ledger.hold(id, now, now + LEASE_MS))) lost = true
  }
}

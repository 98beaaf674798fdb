/** Keeping every blob where it is, for as long as somebody copies them. */
import type { Clock, Ports } from '../../ports/ports.ts'

/** How long blobs are kept after their holder was killed. */
const LEASE_MS = 60_000
const RENEW_MS = 10_000

export interface Hold {
  /** Throws where the hold is known to be lost: blobs may be gone. */
  check(): void
  /** Throws where it was lost until now. */
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
  // Where one renewal fails, the next may come in time; whether it did is seen when it is confirmed.
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

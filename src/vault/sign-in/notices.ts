/** What the owner of an account is written, unasked. */
import type { Caller, User } from '../../ports/accounts.ts'
import type { Notice } from '../../ports/sign-in.ts'
import type { Needs } from '../context.ts'

export interface Notices {
  /**
   * Writes to the owner, if there is one, the address was proven by mail, and mail is what this server sends. Where the
   * address is not to be written to, as much work is done for nobody.
   */
  warn(user: User | null, event: Notice['event'], caller: Caller): void
}

export function openNotices({
  ports: { delivery, clock },
  background,
}: Needs<'delivery' | 'clock', 'background'>): Notices {
  return {
    warn(user, event, { address, requestId }) {
      if (delivery.mode !== 'email') return
      const email = user?.confirmedBy === 'email' ? user.email : null
      // Whoever signs in knows that there is a user.
      if (email === null && event === 'new-device') return
      const notice = { email, event, at: clock(), address, requestId }
      background('telling the owner of an account', delivery.notify(notice))
    },
  }
}

/** Mails that warn the owner of an account. */
import type { Caller, User } from '../../ports/accounts.ts'
import type { Notice } from '../../ports/sign-in.ts'
import type { Needs } from '../context.ts'

export interface Notices {
  /**
   * Sends a mail to the user if this server sends mail and the address was proven by mail. Otherwise a server that
   * sends mail does the same work for `null`, so timing does not reveal whether there is a user.
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
      // A client that signs in knows that the user exists, so there is nothing to hide.
      if (email === null && event === 'new-device') return
      const notice = { email, event, at: clock(), address, requestId }
      background('sending a notice', delivery.notify(notice))
    },
  }
}

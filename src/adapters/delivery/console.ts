import type { PinMessenger } from '../../ports/sign-in.ts'

/** Writes PINs to the server's log, with the id of the request that asked for them. For development. */
export function consoleDelivery(print: (fields: object, message: string) => void): PinMessenger {
  return {
    mode: 'console',

    async deliver({ email, kind, secret, expiresAt, requestId }) {
      const name = kind === 'pin' ? 'PIN' : 'code'
      if (email === null) return print({ requestId }, `no ${name}: the address has no user`)
      print({ requestId, [kind]: secret, expiresAt: new Date(expiresAt).toISOString() }, `${name} ${secret}`)
    },

    // Not needed: the log already has these events.
    async notify() {},
  }
}

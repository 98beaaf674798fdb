import type { PinMessenger } from '../../ports/sign-in.ts'

/** PINs stand in the server's log, beside the id of the request that asked for them: for development. */
export function consoleDelivery(print: (fields: object, message: string) => void): PinMessenger {
  return {
    mode: 'console',

    async deliver({ email, kind, secret, expiresAt, requestId }) {
      const name = kind === 'pin' ? 'PIN' : 'code'
      if (email === null) return print({ requestId }, `no ${name}: it would be nobody's`)
      print({ requestId, [kind]: secret, expiresAt: new Date(expiresAt).toISOString() }, `${name} ${secret}`)
    },

    // Whoever reads the log hears of it there.
    async notify() {},
  }
}

import type { PinMessenger } from '../../ports.ts'

/** PINs stand in the server's log, beside the id of the request that asked for them: for development. */
export function consoleDelivery(print: (fields: object, message: string) => void): PinMessenger {
  return {
    mode: 'console',
    async deliver({ pin, expiresAt, requestId }) {
      print({ requestId, pin, expiresAt: new Date(expiresAt).toISOString() }, `PIN ${pin}`)
    },
  }
}

import type { Command } from './command.ts'
import { withVault } from './command.ts'

export const pin: Command = {
  summary: 'hand out a PIN to a user who has lost every device',
  operands: ['EMAIL|USER-ID', 'DEVICE-ID'],
  options: {},
  changes: true,
  help: `Prints a PIN for the device, which signs in with it as with any other: once, within PIN_TTL_SECONDS, with
PIN_MAX_ATTEMPTS tries. Make sure of who is asking: whoever has the PIN and the device id has the vault. The user finds it in
the list of what happened.`,

  run: ({ config, operands: [who = '', deviceId = ''] }) =>
    withVault(config, async (vault) => {
      const shown = await vault.handOutPin(who, deviceId)
      if (!shown) throw new Error('there is no such user')
      const expiresAt = new Date(shown.pinExpiresAt).toISOString()
      return {
        ok: true,
        report: { ok: true, deviceId, pin: shown.pin, pinExpiresAt: expiresAt },
        lines: [`PIN ${shown.pin} for device ${deviceId}, until ${expiresAt}`],
      }
    }),
}

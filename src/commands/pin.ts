import type { Command } from './command.ts'
import { withVault } from './command.ts'

export const pin: Command = {
  summary: 'create a PIN for a user who has lost every device',
  operands: ['EMAIL|USER-ID', 'DEVICE-ID'],
  options: {},
  changes: true,
  help: `Prints a PIN for the device. It works like any other PIN: once, within PIN_TTL_SECONDS, with PIN_MAX_ATTEMPTS
tries. Check the identity of the person first: the PIN and the device id give access to the vault. The activity list
of the user has an entry for it.`,

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

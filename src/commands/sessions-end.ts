import { type Command, counted, withVault } from './command.ts'

export const sessionsEnd: Command = {
  summary: 'sign a user out on every device',
  operands: ['EMAIL|USER-ID'],
  options: {},
  changes: true,
  help: `Ends all sessions of the user with this address or id, as for a phone that was stolen. It is in force at once, running
transfers are cut within seconds, and PINs that these sessions asked for are void. The user finds it in the list of what
happened, and gets back in with a mailed PIN, or with one from minikeepsafe pin.`,

  run: ({ config, operands: [who = ''] }) =>
    withVault(config, async (vault) => {
      const user = await vault.findUser(who)
      if (!user) throw new Error('there is no such user')
      const ended = await vault.endSessions(user.id)
      return {
        ok: true,
        report: { ok: true, userId: user.id, ended },
        lines: [`ended ${counted(ended, 'session')} of ${who}`],
      }
    }),
}

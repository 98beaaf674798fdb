import { type Command, counted, withVault } from './command.ts'

export const sessionsEnd: Command = {
  summary: 'sign a user out on every device',
  operands: ['EMAIL|USER-ID'],
  options: {},
  changes: true,
  help: `Ends all sessions of the user with this address or id, for example after a phone was stolen. It takes effect at
once: running transfers are cut within seconds, and PINs that these sessions requested are void. The activity list of
the user has an entry for it. The user signs in again with a mailed PIN, or with one from minikeepsafe pin.`,

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

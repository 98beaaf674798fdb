import { type Command, counted, UsageError, withVault } from './command.ts'

export const userDelete: Command = {
  summary: 'delete a user with all files, for good',
  operands: ['EMAIL|USER-ID'],
  options: { yes: { type: 'boolean', default: false } },
  changes: true,
  help: `Deletes the user with this address or id: sessions, key, files and trash, as DELETE /v1/me does. Only a backup can
undo it. Asks for confirmation on the terminal. --yes deletes without a question, and is required without a terminal.`,

  run: ({ config, operands: [who = ''], options, confirm }) =>
    withVault(config, async (vault, { users }) => {
      const user = await vault.findUser(who)
      if (!user) throw new Error('there is no such user')
      const { files } = await users.usage(user.id)
      if (options.yes !== true) {
        const agreed = await confirm(`Delete ${who} with ${counted(files, 'file')}, and the trash, for good?`)
        if (agreed === null) throw new UsageError('there is no terminal to confirm this; add --yes to delete the user')
        if (!agreed) throw new Error('not deleted')
      }
      if (!(await vault.removeUser(user.id))) throw new Error('there is no such user any more')
      return {
        ok: true,
        report: { ok: true, deleted: user.id, files },
        lines: [`deleted ${who} with ${counted(files, 'file')}`],
      }
    }),
}

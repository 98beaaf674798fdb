import { type Command, counted, withVault } from './command.ts'

export const sweep: Command = {
  summary: 'delete what nothing names any more',
  operands: [],
  options: {},
  changes: true,
  help: `One round of what the server does every few minutes: forgets sessions that are over, removes what has been in the
trash for long enough, finishes the removal of users, and deletes blobs that no row names. Beside a running
server, what that one is writing is left alone; without one, whatever a crash has left goes too.`,

  run: ({ config }) =>
    withVault(config, async (vault, { census }) => {
      if (!(await vault.sweep())) {
        return { ok: false, report: { ok: false, swept: false }, lines: ['a server is sweeping at the moment'] }
      }
      const { garbage, runs, holds } = await census()
      const ok = holds === 0
      return {
        ok,
        report: { ok, swept: true, garbage, runs, holds },
        lines: ok
          ? [`swept; ${counted(garbage, 'blob')} waiting to be deleted`]
          : [`a backup is under way, so no blob was deleted: ${garbage} waiting`],
      }
    }),
}

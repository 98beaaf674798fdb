import { type Command, counted, withVault } from './command.ts'

export const sweep: Command = {
  summary: 'delete expired and unreferenced data',
  operands: [],
  options: {},
  changes: true,
  help: `One round of the sweep that the server runs every few minutes. Deletes ended sessions, expired files of the trash, and
blobs that no row names, and finishes the removal of users. While a server runs, blobs that it is writing are kept.
Without a server, blobs that a crash has left are deleted, too.`,

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
          : [`a backup is running, so no blob was deleted: ${garbage} waiting`],
      }
    }),
}

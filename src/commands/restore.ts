import { backupSource } from '../compose/backups.ts'
import { restore as restoreVault } from '../vault/operator/backup.ts'
import { bytesText, type Command, counted, lackingLines } from './command.ts'

export const restore: Command = {
  summary: 'make a vault of the backup in a folder, while no server runs',
  operands: ['DIR'],
  options: { at: { type: 'string' }, incomplete: { type: 'boolean', default: false } },
  optional: { at: 'VERSION' },
  help: `Copies the backup in DIR into DATA_DIR and UPLOADS_DIR, which must be empty or absent but for the master key.
--at takes a former version that backup --keep has kept, by the name that it printed.
Refuses where the master key at hand is not that of the backup, and where the backup lacks blobs: with
--incomplete it copies what there is. The database comes last: a restore that was broken off is no vault.`,

  async run({ config, operands: [folder = ''], options, progress }) {
    const source = await backupSource(config, folder, options.at as string | undefined)
    try {
      const report = await restoreVault(source, options.incomplete === true, progress)
      const { restored, files, bytes, lacking, masterKeys } = report
      const ok = restored && lacking.length === 0
      return {
        ok,
        report: { ok, ...report },
        lines: [
          ...lackingLines(lacking),
          restored
            ? `restored ${counted(files - lacking.length, 'file')} of ${files} (${bytesText(bytes)} in all) under master key ${masterKeys.join(' and ')}; now: minikeepsafe verify`
            : `nothing was restored: the backup lacks ${counted(lacking.length, 'blob')} of ${files}. With --incomplete the rest can be had`,
        ],
      }
    } finally {
      await source.close()
    }
  },
}

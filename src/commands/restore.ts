import { backupSource } from '../compose/backups.ts'
import { restore as restoreVault } from '../vault/operator/backup.ts'
import { auditVault, bytesText, type Command, contentsText, counted, lackingLines } from './command.ts'

export const restore: Command = {
  summary: 'restore a vault from the backup in a folder, while no server runs',
  operands: ['DIR'],
  options: { at: { type: 'string' }, incomplete: { type: 'boolean', default: false } },
  optional: { at: 'VERSION' },
  help: `Copies the backup in DIR into DATA_DIR and UPLOADS_DIR. Both must be empty or absent, except for the master key.
--at restores an older version that backup --keep has kept, by the name that it printed.
Fails if the master key is not the one of the backup, or if blobs are missing or damaged in the backup: --incomplete
restores the rest. The database is copied last, so an interrupted restore leaves no vault.`,

  async run({ config, operands: [folder = ''], options, progress }) {
    const source = await backupSource(config, folder, options.at as string | undefined)
    try {
      const report = await restoreVault(source, options.incomplete === true, progress)
      const { restored, bytes, lacking, masterKeys } = report
      if (restored) auditVault('vault-restored')
      const ok = restored && lacking.length === 0
      return {
        ok,
        report: { ok, ...report },
        lines: [
          ...lackingLines(lacking),
          restored
            ? `restored ${contentsText(report)} (${bytesText(bytes)})${lacking.length > 0 ? `, except ${counted(lacking.length, 'blob')},` : ''} with master key ${masterKeys.join(' and ')}; next: minikeepsafe verify`
            : `nothing was restored: the backup lacks ${counted(lacking.length, 'blob')}. --incomplete restores the rest`,
        ],
      }
    } finally {
      await source.close()
    }
  },
}

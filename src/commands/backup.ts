import { backupTarget } from '../compose/backups.ts'
import { backUp } from '../vault/backup.ts'
import { bytesText, type Command, counted, lackingLines, withPorts } from './command.ts'

export const backup: Command = {
  summary: 'bring the backup in a folder up to date, while the server runs',
  operands: ['DIR'],
  options: {},
  help: `Copies the database as it is at one moment, and every blob that it names, into DIR: a new folder, or one that
has a backup already, of which only what is new is copied. Until all is there, the former backup stays as it is.
Contents stay sealed. The master key is not copied: keep it in another place, without it the backup is lost.`,

  run: ({ config, operands: [folder = ''], progress }) =>
    withPorts(config, async (ports) => {
      const target = await backupTarget(config, folder)
      try {
        const report = await backUp(ports, target, progress)
        const { files, blobs, copiedBytes, lacking, masterKeys } = report
        const ok = lacking.length === 0
        return {
          ok,
          report: { ok, ...report },
          lines: [
            ...lackingLines(lacking),
            `${counted(files, 'file')} in ${folder}: copied ${counted(blobs.copied, 'blob')} (${bytesText(copiedBytes)}), kept ${blobs.kept}, removed ${blobs.removed}`,
            masterKeys.length === 0
              ? 'it opens without a master key, since it has no users'
              : `it opens with master key ${masterKeys.join(' and ')} alone, which is not in it: keep that in another place`,
          ],
        }
      } finally {
        await target.close()
      }
    }),
}

import { backupTarget } from '../compose/backups.ts'
import { backUp } from '../vault/operator/backup.ts'
import { bytesText, type Command, contentsText, counted, lackingLines, UsageError, withPorts } from './command.ts'

export const backup: Command = {
  summary: 'bring the backup in a folder up to date, while the server runs',
  operands: ['DIR'],
  options: { keep: { type: 'string' } },
  optional: { keep: 'N' },
  help: `Copies a snapshot of the database and every blob that it names into DIR. DIR is a new folder, or the folder of an
earlier backup: then only new blobs are copied. The earlier backup stays unchanged until the new one is complete.
With --keep, the earlier backup becomes a version for restore --at, and the oldest versions are deleted until N remain,
including the new backup. Versions share their blobs. Without --keep, versions stay, and the earlier backup is replaced.
Contents stay sealed. The master key is not copied: keep it in another place. Without it the backup is lost.`,

  async run({ config, operands: [folder = ''], options, progress }) {
    const keep = countIn(options.keep)
    return withPorts(config, async (ports) => {
      const target = await backupTarget(config, folder)
      try {
        const report = await backUp(ports, target, progress, keep)
        const { blobs, copiedBytes, lacking, masterKeys, versions } = report
        const ok = lacking.length === 0
        return {
          ok,
          report: { ok, ...report },
          lines: [
            ...lackingLines(lacking),
            `${contentsText(report)} in ${folder}: copied ${counted(blobs.copied, 'blob')} (${bytesText(copiedBytes)}), kept ${blobs.kept}, removed ${blobs.removed}`,
            ...(versions.length > 0 ? [`former versions: ${versions.join(', ')}`] : []),
            masterKeys.length === 0
              ? 'it opens without a master key, since it has no users'
              : `it opens with master key ${masterKeys.join(' and ')} alone, which is not in it: keep that in another place`,
          ],
        }
      } finally {
        await target.close()
      }
    })
  },
}

function countIn(text: unknown): number | null {
  if (text === undefined) return null
  if (!/^[1-9]\d{0,3}$/.test(String(text))) throw new UsageError('--keep must be a whole number from 1 to 9999')
  return Number(text)
}

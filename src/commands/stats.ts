import { measureBlobs } from '../vault/operator/operator.ts'
import { VERSION } from '../version.ts'
import { bytesText, type Command, counted, withPorts } from './command.ts'

export const stats: Command = {
  summary: 'count users, files, keys and bytes',
  operands: [],
  options: {},
  help: `Counts users, sessions, files, trash, thumbnails, unfinished uploads, blobs waiting to be deleted, runs of the server, key slots by
master key, holds (running backups), when files were last read back, when the last backup was made, and the bytes of
database and blobs. Needs no master key.`,

  run: ({ config }) =>
    withPorts(config, async ({ census, ledger, blobs }) => {
      const { databaseBytes, schema, ...counts } = await census()
      const living = (await ledger.livingRuns()).length
      const onDisk = await measureBlobs(blobs)
      const report = {
        ...counts,
        runs: { known: counts.runs, living },
        lastBackupAt: await ledger.lastBackupAt(),
        blobs: onDisk,
        database: { bytes: databaseBytes, schema },
      }
      const { users, sessions, files, trash, thumbnails, uploads, readBack, garbage, slots, holds } = report
      return {
        ok: true,
        report: { ok: true, version: VERSION, ...report },
        lines: [
          `minikeepsafe ${VERSION}`,
          `${counted(users, 'user')}, ${counted(sessions, 'session')}`,
          `${counted(files.count, 'file')} (${bytesText(files.bytes)}), ${trash.count} in the trash (${bytesText(trash.bytes)})`,
          `${counted(thumbnails.count, 'thumbnail')} (${bytesText(thumbnails.bytes)}), in the database`,
          `${counted(uploads.count, 'unfinished upload')} (${bytesText(uploads.bytes)})`,
          `read back: ${oldestText(readBack.oldestAt)}, ${counted(readBack.never, 'file')} never, ${readBack.failed} damaged or locked`,
          `${counted(onDisk.count, 'blob')} (${bytesText(onDisk.bytes)}), ${garbage} waiting to be deleted`,
          `database of ${bytesText(databaseBytes)}, schema ${schema}`,
          `last backup: ${timeText(report.lastBackupAt)}`,
          ...Object.entries(slots).map(([id, count]) => `${counted(count, 'key slot')} under master key ${id}`),
          `${counted(report.runs.known, 'run')} known, ${living} living; ${counted(holds, 'hold')}`,
        ],
      }
    }),
}

function oldestText(oldestAt: number | null): string {
  return oldestAt === null ? 'none' : `the oldest at ${timeText(oldestAt)}`
}

function timeText(at: number | null): string {
  return at === null ? 'none' : new Date(at).toISOString()
}

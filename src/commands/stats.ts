import { rulesOf } from '../compose/rules.ts'
import type { CommandPorts } from '../ports/operator.ts'
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
    withPorts(config, async (ports) => {
      const { census, ledger, blobs } = ports
      const { databaseBytes, schema, ...counts } = await census()
      const living = (await ledger.livingRuns()).length
      const onDisk = await measureBlobs(blobs)
      const scrub = await scrubOf(ports, rulesOf(config).scrubMs, counts)
      const report = {
        ...counts,
        scrub,
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
          scrubText(scrub),
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

type Sum = { count: number; bytes: number }
type Scrub = { since: string; read: Sum; total: Sum; dueBy: string | null }

/** The files read back within the last SCRUB_DAYS, and the time when the oldest is due; `null` if nothing is read back. */
async function scrubOf(
  { files, clock }: Pick<CommandPorts, 'files' | 'clock'>,
  scrubMs: number,
  counts: { files: Sum; trash: Sum; readBack: { oldestAt: number | null } },
): Promise<Scrub | null> {
  if (scrubMs === 0) return null
  const since = Math.max(1, clock() - scrubMs)
  const { oldestAt } = counts.readBack
  return {
    since: new Date(since).toISOString(),
    read: await files.countReadBack(since),
    total: { count: counts.files.count + counts.trash.count, bytes: counts.files.bytes + counts.trash.bytes },
    dueBy: oldestAt === null ? null : new Date(oldestAt + scrubMs).toISOString(),
  }
}

function scrubText(scrub: Scrub | null): string {
  if (scrub === null) return 'nothing is read back: SCRUB_DAYS is 0'
  const { since, read, total, dueBy } = scrub
  const due = dueBy === null ? '' : `; the one that was read longest ago is due by ${dueBy}`
  return `since ${since} read back: ${read.count} of ${counted(total.count, 'file')}, ${bytesText(read.bytes)} of ${bytesText(total.bytes)}${due}`
}

import { moveTargetOf, openMoveSource } from '../compose/move.ts'
import { type Config, ConfigError, readSettings } from '../config/config.ts'
import { cryptographicChance } from '../vault/crypto/secrets.ts'
import { type MoveReport, move } from '../vault/operator/move.ts'
import { bytesText, type Command, counted, UsageError } from './command.ts'

export const migrateData: Command = {
  summary: 'move a vault from SQLite to PostgreSQL, and its files wherever they are to be',
  operands: [],
  options: { from: { type: 'string' }, to: { type: 'string' }, incomplete: { type: 'boolean', default: false } },
  help: `--from and --to each name a file of settings as .env is one: those that the vault has, and those that it is to have.
Only what chooses engines and keys counts in them. The environment of the process and .env count for neither;
folders are looked for from here. Copies the files of the vault as they are, sealed, opens each where it came to
and compares its SHA-256; then brings all rows at once. Nothing is changed in --from. While a server takes
writes there, files are copied ahead and no rows: restart it with READ_ONLY=on and run this again. May be broken
off and run again at any time. Where files are damaged or missing nothing is moved; with --incomplete, what
there is. Pending PINs are not moved: people ask again.`,

  async run({ options, progress }) {
    const from = settingsIn(options.from, '--from')
    const to = settingsIn(options.to, '--to')
    if (from.DATABASE_URL !== undefined) throw new UsageError('--from must be a vault in SQLite: without DATABASE_URL')
    if (to.DATABASE_URL === undefined) throw new UsageError('--to must name PostgreSQL: with DATABASE_URL')
    const source = await openMoveSource(from, Date.now, cryptographicChance)
    const target = moveTargetOf(to, Date.now)
    try {
      const report = await move(source, target, options.incomplete === true, progress)
      const ok = report.moved && report.lost.length === 0
      return { ok, report: { ok, ...report }, lines: linesOf(report) }
    } finally {
      await target.close()
      await source.close()
    }
  },
}

function settingsIn(path: unknown, option: string): Config {
  if (typeof path !== 'string') throw new UsageError('usage: minikeepsafe migrate-data --from FILE --to FILE')
  try {
    return readSettings(path)
  } catch (error) {
    if (error instanceof ConfigError) throw new UsageError(`${option}: ${error.message}`)
    throw error
  }
}

function linesOf(report: MoveReport): string[] {
  const { state, files, bytes, blobs, copiedBytes, lost, rows } = report
  if (state === 'there') return ['the vault is there already; nothing was done']
  return [
    ...lost.map(({ file, blob, why }) => `lost: file ${file}, blob ${blob}: ${why}`),
    `${counted(files, 'file')} (${bytesText(bytes)} opened): copied ${counted(blobs.copied, 'blob')} (${bytesText(copiedBytes)}), kept ${blobs.kept}`,
    ...Object.entries(rows).map(([table, count]) => `${counted(count, 'row')} in ${table}`),
    endOf(report),
  ]
}

function endOf({ moved, state, lost }: MoveReport): string {
  if (moved) return 'the vault is moved; now: start its servers with the settings of --to'
  if (state === 'written') {
    return 'not moved yet: a server takes writes. Restart it with READ_ONLY=on, or stop it, and run this again'
  }
  return `nothing was moved: ${counted(lost.length, 'file')} cannot be had. Restore from a backup, or take what there is with --incomplete`
}

import { moveTargetOf, openMoveSource } from '../compose/move.ts'
import { type Config, ConfigError, readSettings } from '../config/config.ts'
import { cryptographicChance } from '../vault/crypto/secrets.ts'
import { type MoveReport, move } from '../vault/operator/move.ts'
import { auditVault, bytesText, type Command, contentsText, counted, subjectText, UsageError } from './command.ts'

export const migrateData: Command = {
  summary: 'move a vault from SQLite to PostgreSQL, and its files to another folder or bucket',
  operands: [],
  options: { from: { type: 'string' }, to: { type: 'string' }, incomplete: { type: 'boolean', default: false } },
  help: `--from and --to are files of settings in the format of .env: the present settings of the vault, and the new ones.
Only the settings of engines and keys are used. Environment variables and .env are ignored. Relative folders start
from the working folder. Copies the sealed files, opens each copy and compares its SHA-256; then copies all rows in
one transaction. Nothing is changed in --from. While a server writes there, only files are copied, and no rows:
restart it with READ_ONLY=on and run this again. You can interrupt and repeat the command at any time. If files are
damaged or missing, nothing is moved; --incomplete moves the rest. Pending PINs are not moved: users request new ones.`,

  async run({ options, progress }) {
    const from = settingsIn(options.from, '--from')
    const to = settingsIn(options.to, '--to')
    if (from.DATABASE_URL !== undefined) throw new UsageError('--from must be a vault in SQLite: remove DATABASE_URL')
    if (to.DATABASE_URL === undefined) throw new UsageError('--to must name PostgreSQL: set DATABASE_URL')
    const source = await openMoveSource(from, Date.now, cryptographicChance)
    const target = moveTargetOf(to, Date.now)
    try {
      const report = await move(source, target, options.incomplete === true, progress)
      if (report.moved && report.state !== 'there') auditVault('vault-moved')
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
  const { state, bytes, blobs, copiedBytes, lost, rows } = report
  if (state === 'there') return ['the vault was moved already; nothing was done']
  return [
    ...lost.map(({ blob, why, ...subject }) => `lost: ${subjectText(subject)}, blob ${blob}: ${why}`),
    `${contentsText(report)} (${bytesText(bytes)} opened): copied ${counted(blobs.copied, 'blob')} (${bytesText(copiedBytes)}), kept ${blobs.kept}`,
    ...Object.entries(rows).map(([table, count]) => `${counted(count, 'row')} in ${table}`),
    endOf(report),
  ]
}

function endOf({ moved, state, lost }: MoveReport): string {
  if (moved) return 'the vault is moved; next: start its servers with the settings of --to'
  if (state === 'written') {
    return 'not moved yet: a server is writing. Restart it with READ_ONLY=on, or stop it, and run this again'
  }
  const uploads = lost.filter((one) => 'upload' in one).length
  const text = contentsText({ files: lost.length - uploads, uploads })
  return `nothing was moved: ${text} damaged or missing. Restore from a backup, or move the rest with --incomplete`
}

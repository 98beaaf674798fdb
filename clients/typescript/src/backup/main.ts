#!/usr/bin/env node
/** minikeepsafe-backup: keeps a folder of a computer in the vault. */
import { setMaxListeners } from 'node:events'
import { stat } from 'node:fs/promises'
import { isVaultError, VaultError } from '../errors.ts'
import { argumentsIn, USAGE, UsageError } from './arguments.ts'
import { backUp } from './backup.ts'
import { openReport, reasonOf } from './progress.ts'
import { signedInClient } from './signing-in.ts'
import { type Found, filesIn } from './walk.ts'

const INTERRUPTED = 130

process.exitCode = await main()

async function main(): Promise<number> {
  try {
    const given = argumentsIn(process.argv.slice(2), process.env)
    if (!given) {
      process.stdout.write(USAGE)
      return 0
    }
    const isFolder = await stat(given.folder).then(
      (found) => found.isDirectory(),
      () => false,
    )
    if (!isFolder) throw new UsageError(`There is no folder ${given.folder}`)
    const client = await signedInClient(given)
    return await run(client, given)
  } catch (error) {
    if (error instanceof UsageError) process.stderr.write(`${error.message}\n\nminikeepsafe-backup --help\n`)
    else if (error instanceof VaultError) process.stderr.write(`${reasonOf(error)}\n`)
    else throw error
    return 2
  }
}

async function run(
  client: Awaited<ReturnType<typeof signedInClient>>,
  { folder, hidden, parallel, replace }: NonNullable<ReturnType<typeof argumentsIn>>,
): Promise<number> {
  const interrupt = new AbortController()
  // Each file that is being sent listens to it. Node would warn of a leak above ten.
  setMaxListeners(0, interrupt.signal)
  // The second Ctrl-C ends the process at once.
  process.once('SIGINT', () => interrupt.abort())
  process.once('SIGTERM', () => interrupt.abort())
  const unreadable: { relative: string; error: unknown }[] = []
  const files: Found[] = []
  const onUnreadable = (relative: string, error: unknown) => unreadable.push({ relative, error })
  for await (const file of filesIn(folder, { hidden, onUnreadable })) files.push(file)
  const report = openReport(files.length, process.stdout, process.stderr)
  for (const one of unreadable) report.add({ what: 'failed', ...one })
  try {
    const onConflict = replace ? 'replace' : 'rename'
    await backUp(client, files, { parallel, onConflict, signal: interrupt.signal, onEvent: report.add })
  } catch (error) {
    if (!interrupt.signal.aborted && !(error instanceof VaultError)) throw error
    report.end()
    const isOver = isVaultError(error, 'unauthorized')
    const reason = isOver ? 'The session has ended. Sign in again with --pair.' : reasonOf(error)
    process.stderr.write(`${interrupt.signal.aborted ? 'Interrupted. Run it again to go on.' : reason}\n`)
    return interrupt.signal.aborted ? INTERRUPTED : 2
  }
  return report.end() === 0 ? 0 : 1
}

/** What must hold at the end: nothing is lost, and once everything has expired, nothing is left over. */
import { setTimeout as pause } from 'node:timers/promises'
import { type Clock, DAY_MS } from './clock.ts'
import type { Journal } from './journal.ts'
import type { Operator } from './operator.ts'
import type { Phone } from './phone.ts'
import { SESSION_MAX_DAYS, TRASH_DAYS, UPLOAD_DAYS } from './settings.ts'
import type { Shape } from './shape.ts'

/** Longer than all that the servers do in their own time. */
const PATIENCE_MS = 90_000
const AGAIN_MS = 3000

interface ReadBacks {
  oldestAt: number | null
  never: number
  failed: number
}

interface UserRow {
  files: number
  trashFiles: number
  bytes: number
  sessions: number
}

/** Returns lines for the report. */
export async function expectNothingLost(
  { fleet, stored }: Shape,
  phones: Phone[],
  operator: Operator,
  clock: Clock,
  journal: Journal,
): Promise<string[]> {
  const before = journal.violations.length
  for (const phone of phones) {
    await phone.compare()
    await phone.compareContents()
  }
  const lost = journal.violations.length - before

  await expectReadBack(operator, clock, journal)
  await clock.advance(1 + Math.max(SESSION_MAX_DAYS, TRASH_DAYS, UPLOAD_DAYS))
  await fleet.untilReady()
  await operator.sweep()
  await fleet.stop()
  await sweepAll(operator, journal)

  const { files, trash, uploads, sessions, holds } = (await operator.succeed(['stats'])) as Record<
    string,
    { count: number }
  >
  for (const [name, left] of Object.entries({ trash: trash?.count, uploads: uploads?.count, sessions, holds })) {
    if (left !== 0) journal.violation(`after everything has expired: ${left} ${name}`)
  }
  const { users = [] } = (await operator.succeed(['users'])) as { users?: UserRow[] }
  const expected = phones.map(usageOf).sort()
  const found = users.map(({ files, trashFiles, bytes }) => `${files} ${trashFiles} ${bytes}`).sort()
  if (`${found}` !== `${expected}`) journal.violation(`usage of the users: ${found}, and of the phones: ${expected}`)

  const { blobs } = (await operator.succeed(['verify'])) as { blobs: number }
  const left = await stored()
  if (left.blobs.length !== blobs) journal.violation(`${left.blobs.length} objects are stored, and ${blobs} are named`)
  if (left.unfinished.length > 0) journal.violation(`${left.unfinished.length} multipart uploads are unfinished`)
  return [
    `compared ${files?.count} files, lost ${lost}`,
    `left after everything has expired: ${left.blobs.length} blobs, of which ${blobs} are named`,
  ]
}

/** The servers read everything back after a night. */
async function expectReadBack(operator: Operator, clock: Clock, journal: Journal): Promise<void> {
  const until = performance.now() + PATIENCE_MS
  for (;;) {
    const { readBack } = (await operator.succeed(['stats'])) as { readBack: ReadBacks }
    const { oldestAt, never, failed } = readBack
    if (failed > 0) return journal.violation(`${failed} files did not open when they were read back`)
    if (never === 0 && (oldestAt ?? 0) > clock.now() - DAY_MS) return
    if (performance.now() > until)
      return journal.violation(`not read back since the night: ${JSON.stringify(readBack)}`)
    await pause(AGAIN_MS)
  }
}

/** The run of a server that was killed counts as living for a minute. */
async function sweepAll(operator: Operator, journal: Journal): Promise<void> {
  const until = performance.now() + PATIENCE_MS
  for (;;) {
    const { garbage, runs } = await operator.sweep()
    if (garbage === 0 && runs === 0) return
    if (performance.now() > until) {
      journal.violation(`after the last sweep: ${garbage} blobs of garbage, ${runs} runs`)
      return
    }
    await pause(AGAIN_MS)
  }
}

function usageOf(phone: Phone): string {
  const { live } = phone.state()
  const bytes = live.reduce((sum, { size, picture }) => sum + size + (picture?.size ?? 0), 0)
  return `${live.length} 0 ${bytes}`
}

/** Five weeks or more, in rounds of some days: the phones work, something fails, the operator does something, and a night passes. */
import { setTimeout as pause } from 'node:timers/promises'
import { temporaryFolder } from '../support/app.ts'
import { faultyProxy } from '../support/faulty-proxy.ts'
import { type Clock, clockIn } from './clock.ts'
import { expectNothingLost } from './end.ts'
import { type Journal, openJournal } from './journal.ts'
import { type Operator, openOperator, type Task } from './operator.ts'
import { openOutages } from './outages.ts'
import { newPhone, type Phone, type World } from './phone.ts'
import { randomFrom } from './random.ts'
import { printReport, type Row } from './report.ts'
import { DAYS_PER_ROUND, LEAST_ROUNDS, LONGEST_ROUND_MINUTES, PHONES, SEED } from './settings.ts'
import { type Fault, type Shape, suffer } from './shape.ts'
import { watchStalls } from './stalls.ts'
import { watch } from './watch.ts'

/** In this round of each five weeks a backup is restored. */
const RESTORED = 3
/** The time at the end of each round without a failure of the servers. */
const CALM_MS = 1500

type Open = (clock: Clock, journal: Journal) => Promise<Shape>
type Run = Awaited<ReturnType<typeof begin>>

/** Returns the violations. */
export async function soak(open: Open, minutes: number): Promise<string[]> {
  const startedAt = performance.now()
  const run = await begin(open)
  const { shape, stalls, journal, clock, phones, operator, watching } = run
  const rounds = Math.max(LEAST_ROUNDS, Math.ceil(minutes / LONGEST_ROUND_MINUTES))
  const rows: Row[] = []
  for (let round = 0; round < rounds; round += 1) rows.push(await live(run, round, rounds, (minutes * 60_000) / rounds))
  const compared = watching.compare()
  const ends = await expectNothingLost(shape, phones, operator, clock, journal)
  watching.stop()

  const tookMinutes = ((performance.now() - startedAt) / 60_000).toFixed(1)
  const title = `${shape.name}: ${tookMinutes} minutes, ${clock.days()} days, ${phones.length} phones, seed ${SEED}`
  const restarts = phones.reduce((sum, { following }) => sum + following.restarts(), 0)
  printReport(title, rows, journal, [
    ...watching.reasonsOf(journal.violations),
    ...ends,
    `processes: ${shape.fleet.all.length}, of which ${compared} were compared early and late`,
    `stalls of the machine: ${stalls.count}`,
    `changes feeds that began again after an expired cursor: ${restarts}`,
  ])
  return journal.violations
}

async function begin(open: Open) {
  const journal = openJournal()
  const clock = clockIn(await temporaryFolder())
  const shape = await open(clock, journal)
  const stalls = watchStalls(shape.commit)
  const outages = openOutages(shape.fleet.untilReady, stalls)
  const random = randomFrom(SEED)
  const phones: Phone[] = []
  const operator = openOperator(shape, journal, outages, phones, random.fork('operator'))
  const watching = watch(shape.fleet, journal, outages)
  const world: World = { journal, outages, clock, random, pinFor: operator.pinFor }
  for (let n = 0; n < PHONES; n += 1) {
    const line = await faultyProxy({ host: '127.0.0.1', port: shape.port })
    phones.push(await newPhone(world, n, line, shape.scheme))
  }
  return { journal, clock, shape, stalls, outages, phones, operator, watching }
}

/** One round and its night. */
async function live(run: Run, round: number, rounds: number, leastMs: number): Promise<Row> {
  const { journal, clock, shape, outages, phones, operator, watching } = run
  const awake = phones.filter((_, n) => !isAsleep(n, round))
  let isOver = false
  const working = Promise.all(awake.map((phone) => phone.work(() => isOver)))
  // If a task fails, that is the error.
  working.catch(() => {})
  const least = pause(leastMs)
  // Tasks first: a new master key waits until a server that was killed is known to be dead.
  for (const task of tasksOf(round, rounds, operator)) {
    journal.act(`task: ${task.name}`)
    await task.run()
  }
  for (const fault of faultsOf(round, rounds, shape)) await suffer(fault, outages, journal)
  await outages.calm()
  await Promise.all([least, pause(CALM_MS)])
  isOver = true
  await working
  await outages.calm()

  await Promise.all(awake.map((phone) => phone.compare().then(phone.evening)))
  if (shape.hasBackup && round % LEAST_ROUNDS === RESTORED) await operator.restore(awake)
  await clock.advance(DAYS_PER_ROUND)
  // A store may refuse the first requests of a clock that has moved.
  await outages.during(async () => {})
  await operator.sweep()
  await Promise.all(phones.map((phone, n) => phone.morning(isAsleep(n, round + 1))))
  for (const { line } of phones) line.cut()
  return { day: clock.days(), ...journal.row(), sample: await watching.sample() }
}

/** One phone of four is not used for two rounds of each five weeks, which is longer than its session lives. */
function isAsleep(phone: number, round: number): boolean {
  return phone % 4 === 3 && [2, 3].includes(round % LEAST_ROUNDS)
}

/** Processes end in the first half only. Those of the second half show whether memory grows. */
function faultsOf(round: number, rounds: number, { killing, sparing }: Shape): Fault[] {
  const kill = round < rounds / 2 ? [turn(killing, round)] : []
  return [...kill, turn(sparing, 2 * round), turn(sparing, 2 * round + 1)]
}

function tasksOf(round: number, rounds: number, { restarting, sparing }: Operator): Task[] {
  return [...(round < rounds / 2 ? [turn(restarting, round)] : []), turn(sparing, round)]
}

const turn = <T>(list: readonly T[], round: number): T => list[round % list.length] as T

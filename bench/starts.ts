/** Compares the start of our server with that of a bare one, on one database of very many files. */
import { setTimeout as sleep } from 'node:timers/promises'
import { fill } from './listing.ts'
import type { Compared } from './report.ts'
import { type Booted, bootBare, bootOurs, ourServer } from './servers.ts'

/** Until then the work that follows a start is over. */
const REST_MS = 1500
const TIME_AIM = 1.25

/** Both start in each round, and the first one of a round is the second one of the next. */
export async function startsCompared(folder: string, rows: number, rounds: number): Promise<Compared[]> {
  const server = await ourServer(folder)
  await server.stop()
  await fill(folder, rows)
  const order = [
    { boot: bootOurs, taken: [] as Sample[] },
    { boot: bootBare, taken: [] as Sample[] },
  ]
  const [ours, bare] = order.map(({ taken }) => taken) as [Sample[], Sample[]]
  // The first round only brings files into the memory of the system.
  for (let round = 0; round <= rounds; round += 1) {
    for (const { boot, taken } of order) {
      const sample = await sampleOf(await boot(folder))
      if (round > 0) taken.push(sample)
    }
    order.reverse()
  }
  const compared = (title: string, of: keyof Sample, aim: number): Compared => ({
    title,
    rounds: ours.map((sample, round) => ({ one: sample[of], other: bare[round]?.[of] ?? null })),
    aim: ['≤', aim],
  })
  return [
    compared('first response, ms', 'firstMs', TIME_AIM),
    compared('  CPU ms', 'cpuMs', TIME_AIM),
    compared('memory at rest, MiB', 'memoryMib', TIME_AIM),
  ]
}

interface Sample {
  firstMs: number
  cpuMs: number | null
  memoryMib: number | null
}

async function sampleOf(booted: Booted): Promise<Sample> {
  const cpuMs = booted.cpuMs()
  await sleep(REST_MS)
  const memoryMib = booted.memoryMib()
  await booted.stop()
  return { firstMs: booted.firstMs, cpuMs, memoryMib }
}

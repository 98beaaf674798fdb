/** Compares thumbnails, which are rows of the database, with small downloads, which are blobs, on one server. */
import type { Compared, Sample } from './report.ts'
import type { Server } from './servers.ts'
import { getSmallByWrk, getThumbnail, prepareSmall, prepareThumbnail, putSmall, putThumbnails } from './small.ts'

const WARM_UP_SECONDS = 2

/** Both take turns, and which one begins changes with each round. */
export async function* thumbnailsCompared(server: Server, rounds: number, seconds: number): AsyncGenerator<Compared> {
  await prepareSmall(server)
  await prepareThumbnail(server)
  yield* compared('GET of 20 KiB: thumbnail / file', 1.5, getThumbnail, getSmallByWrk)
  yield* compared('PUT of 20 KiB: thumbnail / file', 1, putThumbnails, putSmall)

  async function* compared(
    title: string,
    aim: number,
    thumbnail: (server: Server, seconds: number) => Promise<Sample>,
    file: (server: Server, seconds: number) => Promise<Sample>,
  ): AsyncGenerator<Compared> {
    const turns = [thumbnail, file]
    for (const turn of turns) await turn(server, Math.min(WARM_UP_SECONDS, seconds))
    const taken: { one: Sample; other: Sample }[] = []
    for (let round = 0; round < rounds; round += 1) {
      const samples = new Map<typeof thumbnail, Sample>()
      for (const turn of turns) samples.set(turn, await turn(server, seconds))
      taken.push({ one: samples.get(thumbnail) as Sample, other: samples.get(file) as Sample })
      turns.reverse()
    }
    const rate = taken.map(({ one, other }) => ({ one: one.rate, other: other.rate }))
    yield { title: `${title}, 1/s`, rounds: rate, aim: ['≥', aim] }
    const cpu = taken.map(({ one, other }) => ({ one: one.cpu, other: other.cpu }))
    yield { title: '  CPU ms/request', rounds: cpu, aim: ['≤', 1 / aim] }
  }
}

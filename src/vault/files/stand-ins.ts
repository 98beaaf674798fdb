/**
 * Finds numbered names for a taken name: `IMG_1 (1).jpg` and so on. Both functions take few steps, however many there
 * are.
 */
import type { FileRepository, SealedFile } from '../../ports/files.ts'
import type { Chance } from '../../ports/ports.ts'
import { MOST_NUMBER, numberedName, numberedPrefix, numberIn } from './names.ts'

/** Numbers that one step checks. */
const WIDTH = 16
const FIRST = Array.from({ length: WIDTH }, (_, i) => i + 1)
/** 32, 64 and so on, up to the greatest number of a name. */
const POWERS = Array.from({ length: 25 }, (_, i) => 2 ** (i + 5))
/** Files of one content are read in pages of this size, at most `PAGES`. Only an owner who chose unusual names has more. */
const PAGE = 100
const PAGES = 10

/**
 * A free numbered name: the lowest of the first numbers, or else one after a used number. It takes at most ten steps, and a few
 * milliseconds, however many numbers are used.
 */
export async function freeNumberedName(
  { files, chance }: { files: Pick<FileRepository, 'taken'>; chance: Pick<Chance, 'bytes'> },
  owner: string,
  name: string,
): Promise<string> {
  const first = FIRST[await firstFree(FIRST)]
  if (first) return numberedName(name, first)
  let [used, free] = await gallop()
  while (free - used > 1) {
    const step = Math.ceil((free - used) / WIDTH)
    const between: number[] = []
    for (let n = used + step; n < free; n += step) between.push(n)
    const at = await firstFree(between)
    used = (at === -1 ? between.at(-1) : between[at - 1]) ?? used
    free = between[at] ?? free
  }
  return numberedName(name, free)

  /** A used number and a free one above it. */
  async function gallop(): Promise<[used: number, free: number]> {
    const at = await firstFree(POWERS)
    if (at !== -1) return [POWERS[at - 1] ?? WIDTH, POWERS[at] as number]
    // This happens only if an owner took exactly these numbers. Random numbers cannot be taken in advance.
    for (;;) {
      const some = Array.from({ length: WIDTH }, () => 1 + (chance.bytes(4).readUInt32BE() % MOST_NUMBER))
      const free = some[await firstFree(some)]
      if (free) return [free - 1, free]
    }
  }

  async function firstFree(numbers: number[]): Promise<number> {
    const names = numbers.map((n) => numberedName(name, n))
    const taken = new Set(await files.taken(owner, names))
    return names.findIndex((numbered) => !taken.has(numbered))
  }
}

/** The numbered files of the name whose contents have this tag. `nextTurn` comes before each page. */
export async function* numberedWithTag(
  files: Pick<FileRepository, 'tagged'>,
  nextTurn: () => Promise<void>,
  owner: string,
  name: string,
  tag: Buffer,
): AsyncGenerator<SealedFile> {
  const prefix = numberedPrefix(name)
  let after: string | null = null
  for (let pages = 0; pages < PAGES; pages += 1) {
    await nextTurn()
    const page: SealedFile[] = await files.tagged(owner, tag, { prefix, after, limit: PAGE })
    for (const row of page) if (numberIn(name, row.name) !== null) yield row
    if (page.length < PAGE) return
    after = page.at(-1)?.name ?? null
  }
}

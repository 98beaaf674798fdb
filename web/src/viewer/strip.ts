/** The files around the one that is shown, each at an index that does not change while more become known on both sides. */
import type { StoredFile } from '@minikeepsafe/client'
import { kindOf } from '../state/files.ts'
import type { Neighbours } from './open-viewer.ts'

/** In the middle: nobody looks at a million files one by one. */
export const START = 1_000_000
/** How many files are known ahead on each side. */
const AHEAD = 2
/** So many files that cannot be shown are passed over at once. */
const MOST_PASSED = 500

export interface Strip {
  /** `undefined` beyond the ends, and for what is not known yet. */
  at(index: number): StoredFile | undefined
  indexOf(id: string): number | undefined
  first(): number
  last(): number
  /** Asks for what is around the index, and calls `onGrown` for each file. */
  look(index: number): Promise<void>
  /** A new version of a file that is known. */
  update(file: StoredFile): void
  /** Puts the file at the index and forgets all others: their order has changed. */
  begin(index: number, file: StoredFile): void
}

type Side = 'before' | 'after'

/** `prepare` is awaited for each file before it is a part of the strip. */
export function openStrip(
  start: StoredFile,
  neighbours: Neighbours,
  { prepare, onGrown }: { prepare: (file: StoredFile) => Promise<void>; onGrown: (index: number) => void },
): Strip {
  const files = new Map([[START, start]])
  const growing: Partial<Record<Side, Promise<void>>> = {}
  let [first, last] = [START, START]
  /** Changes when `begin` makes all older answers void. */
  let generation = 0

  return {
    at: (index) => files.get(index),
    indexOf: (id) => [...files].find(([, file]) => file.id === id)?.[0],
    first: () => first,
    last: () => last,
    async look(index) {
      await Promise.all([grow('before', index), grow('after', index)])
    },
    update(file) {
      for (const [index, known] of files) if (known.id === file.id) files.set(index, file)
    },
    begin(index, file) {
      files.clear()
      files.set(index, file)
      first = index
      last = index
      generation += 1
      delete growing.before
      delete growing.after
    },
  }

  async function grow(side: Side, index: number): Promise<void> {
    // The one that runs may have been asked for less.
    await growing[side]
    const run = extend(side, index, generation)
    growing[side] = run
    await run
    if (growing[side] === run) delete growing[side]
  }

  async function extend(side: Side, index: number, mine: number): Promise<void> {
    const isEnough = () => (side === 'before' ? first <= index - AHEAD : last >= index + AHEAD)
    while (!isEnough()) {
      const edge = files.get(side === 'before' ? first : last)
      const found = edge && (await nextShown(edge, side))
      if (!found) return
      await prepare(found)
      if (mine !== generation) return
      const at = side === 'before' ? --first : ++last
      files.set(at, found)
      onGrown(at)
    }
  }

  /** Documents and the like are passed over. A list that cannot be read ends here; the next look tries again. */
  async function nextShown(from: StoredFile, side: Side): Promise<StoredFile | null> {
    let file: StoredFile | null = from
    for (let passed = 0; passed < MOST_PASSED && file !== null; passed += 1) {
      file = await neighbours[side](file).catch(() => null)
      if (file !== null && kindOf(file) !== 'other') return file
    }
    return null
  }
}

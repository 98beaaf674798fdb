/** The files of the queue, each with its phase, and the sums over all of them. */
import { computed, signal } from '@preact/signals'
import type { Reason } from './reasons.ts'

export type Phase =
  /** For its turn; also while the queue is paused, or waits for the connection. */
  | 'waiting'
  | 'hashing'
  | 'sending'
  /** Another file has the name, and the user has not said what to do. */
  | 'conflict'
  | 'failed'
  /** The browser did not keep the bytes over a reload: the user must choose the file again. */
  | 'missing'
  | 'done'
  /** The vault had the same bytes already. */
  | 'there'
  | 'skipped'

export type OnConflict = 'fail' | 'rename' | 'replace'

export interface Item {
  readonly id: string
  readonly name: string
  readonly size: number
  readonly type: string
  readonly lastModified: number
  /** `null` once it is not needed any more, and if it is missing. */
  file: File | null
  phase: Phase
  /** Bytes that are hashed or stored in this phase. */
  bytes: number
  reason: Reason | null
  onConflict: OnConflict
  sha256: string | undefined
  /** An earlier attempt may have stored the file. */
  wasTried: boolean
  /** How many attempts in a row ended without a response. */
  breaks: number
  attempt: AbortController | null
}

export function newItem(given: Pick<Item, 'id' | 'name' | 'size' | 'type' | 'lastModified' | 'file'>): Item {
  const { id, name, size, type, lastModified, file } = given
  return {
    ...{ id, name, size, type, lastModified, file, phase: 'waiting', bytes: 0, reason: null, onConflict: 'fail' },
    ...{ sha256: undefined, wasTried: false, breaks: 0, attempt: null },
  }
}

const PHASES: Phase[] = ['conflict', 'failed', 'missing', 'sending', 'hashing', 'waiting', 'done', 'there', 'skipped']
const OVER: Phase[] = ['done', 'there', 'skipped']

const byPhase = new Map<Phase, Set<Item>>(PHASES.map((phase) => [phase, new Set()]))
/** Is read by everything below that is computed. */
const changes = signal(0)
const changed = () => {
  changes.value += 1
}
let overBytes = 0

const of = (phase: Phase): Set<Item> => byPhase.get(phase) as Set<Item>
const count = (...phases: Phase[]) => phases.reduce((sum, phase) => sum + of(phase).size, 0)

export function put(item: Item): void {
  of(item.phase).add(item)
  changed()
}

/** An item goes to the end of its new phase. */
export function move(item: Item, phase: Phase, reason: Reason | null = null): void {
  if (!of(item.phase).delete(item)) return
  if (OVER.includes(phase)) overBytes += item.size
  // What the server has of an interrupted upload, it keeps.
  const bytes = item.phase === 'sending' && phase === 'waiting' ? item.bytes : 0
  Object.assign(item, { phase, reason, bytes })
  put(item)
}

/** An interrupted item is the next one again. */
export function moveToFront(item: Item): void {
  const others = [...of('waiting')].filter((other) => other !== item)
  move(item, 'waiting')
  of('waiting').clear()
  for (const next of [item, ...others]) of('waiting').add(next)
}

export function progress(item: Item, phase: 'hashing' | 'sending', bytes: number): void {
  if (item.phase !== phase) move(item, phase)
  item.bytes = bytes
  changed()
}

export function drop(item: Item): void {
  of(item.phase).delete(item)
  changed()
}

/** A new batch is counted by itself. */
export function dropOver(): void {
  for (const phase of OVER) of(phase).clear()
  overBytes = 0
  changed()
}

export function clear(): void {
  for (const items of byPhase.values()) items.clear()
  overBytes = 0
  changed()
}

export const all = (...phases: Phase[]): Item[] =>
  (phases.length > 0 ? phases : PHASES).flatMap((phase) => [...of(phase)])
export const isKnown = (item: Item): boolean => of(item.phase).has(item)

/** A file that was changed must be chosen again. */
export const canRetry = ({ phase, reason }: Item): boolean => phase === 'failed' && reason?.code !== 'changed'

/** The next one whose turn it is. */
export function next(): Item | undefined {
  const [first] = of('waiting')
  return first
}

/** The first `most` of all, those that need the user before the others. */
export function shown(most: number): Item[] {
  changes.value
  const items: Item[] = []
  for (const phase of PHASES) {
    for (const item of of(phase)) {
      if (items.length === most) return items
      items.push(item)
    }
  }
  return items
}

export const sums = computed(() => {
  changes.value
  const running = all('hashing', 'sending')
  const waiting = all('waiting')
  const bytesOf = (items: Item[]) => items.reduce((sum, { size }) => sum + size, 0)
  const stored = all('sending', 'waiting').reduce((sum, { bytes }) => sum + bytes, 0)
  return {
    files: count(...PHASES),
    over: count(...OVER),
    done: count('done'),
    there: count('there'),
    skipped: count('skipped'),
    failed: count('failed'),
    retryable: all('failed').filter(canRetry).length,
    conflicts: count('conflict'),
    missing: count('missing'),
    running: running.length,
    waiting: waiting.length,
    /** Of the files that are not failed or waiting for the user. */
    bytes: overBytes + bytesOf(running) + bytesOf(waiting),
    storedBytes: overBytes + stored,
  }
})

/** Files that are on their way, as long as nobody pauses them. */
export const isActive = computed(() => sums.value.running + sums.value.waiting > 0)

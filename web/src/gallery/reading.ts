/** Reads the sections that are near the screen, a few requests at a time, and forgets those that are far away. */
import type { StoredFile } from '@minikeepsafe/client'
import { effect, signal } from '@preact/signals'
import { type FileEvent, onFileEvent } from '../state/files.ts'
import { client, failed } from '../state/session.ts'
import { apply, byDate, byName, current, filter, type List, prefix, sections } from './lists.ts'
import { evict, fill, isWanted, SECTION_FILES, type Section } from './sections.ts'

/** At most so many files are in memory, besides those near the screen. */
const MOST_FILES = 6000
/** Small months are read together. */
const FILES_AT_ONCE = 500
const REQUESTS_AT_ONCE = 2

/** Sections that could not be read. */
export const failures = signal<ReadonlySet<string>>(new Set())

const running = new Set<{ keys: string[]; abort: AbortController }>()
/** The keys of sections near the screen, those on it first. */
let near: string[] = []
/** Sections that somebody waits for. */
const held = new Map<string, number>()
/** The events while something is read: what is read may be older than they are. */
let log: FileEvent[] = []

onFileEvent((event) => {
  if (running.size > 0) log.push(event)
  for (const list of [byDate, byName]) apply(event, list)
})

/** Says which sections are near the screen. They are read, and those far away may be forgotten. */
export function want(keys: string[]): void {
  near = keys
  for (const reading of running) {
    if (reading.keys.some((key) => near.includes(key) || held.has(key))) continue
    reading.abort.abort()
    running.delete(reading)
  }
  readNext()
}

export function readNext(): void {
  const isBusy = (key: string) => [...running].some(({ keys }) => keys.includes(key))
  while (running.size < REQUESTS_AT_ONCE) {
    const all = sections.peek()
    const isNext = (one: Section) => isWanted(one) && !isBusy(one.key) && !failures.peek().has(one.key)
    const byKey = new Map(all.map((one, at) => [one.key, at]))
    const places = [...held.keys(), ...near].map((key) => byKey.get(key) ?? -1)
    const from = places.find((at) => at >= 0 && isNext(all[at] as Section))
    if (from === undefined) return
    const run: Section[] = []
    let total = 0
    for (const one of all.slice(from)) {
      const fits = run.length === 0 || (total + one.count <= FILES_AT_ONCE && near.includes(one.key))
      if (!fits || !isNext(one)) break
      run.push(one)
      total += one.count
    }
    void read(run, Math.min(SECTION_FILES, total + 1))
  }
}

async function read(run: Section[], limit: number): Promise<void> {
  const [{ key, cursor = null }] = run as [Section]
  const list = current.peek()
  const wanted = prefix.peek()
  const reading = { keys: run.map(({ key }) => key), abort: new AbortController() }
  running.add(reading)
  const since = log.length
  const sorted =
    wanted === '' ? ({ sort: 'takenAt', order: 'desc' } as const) : ({ prefix: wanted, sort: 'name' } as const)
  try {
    const page = await client.page({ ...sorted, cursor, limit, signal: reading.abort.signal })
    // Another search or filter, or the end of the session, has ended it.
    if (!running.delete(reading)) return
    list.sections.value = fill(list.sections.peek(), key, page, list.order, filter())
    for (const event of log.slice(since)) apply(event, list)
    evictFar(list)
  } catch (error) {
    if (!running.delete(reading)) return
    failures.value = new Set([...failures.peek(), ...reading.keys])
    failed(error)
  }
  if (running.size === 0) log = []
  readNext()
}

function evictFar({ sections }: List): void {
  const all = sections.peek()
  const places = all.flatMap(({ key }, at) => (isKept(key) ? [at] : []))
  const middle = ((places[0] ?? 0) + (places.at(-1) ?? 0)) / 2
  const far = all.map((one, at) => ({ one, distance: Math.abs(at - middle) })).filter(({ one }) => !isKept(one.key))
  far.sort((one, other) => other.distance - one.distance)
  const left = evict(
    all,
    far.map(({ one }) => one),
    MOST_FILES,
  )
  if (left !== all) sections.value = left
}

const isKept = (key: string) => near.includes(key) || held.has(key)

/** Ends all requests. Their responses change nothing. */
export function stopReading(): void {
  for (const { abort } of running) abort.abort()
  running.clear()
  log = []
}

export function forgetReading(): void {
  stopReading()
  near = []
  held.clear()
  failures.value = new Set()
}

export function readAgain(): void {
  failures.value = new Set()
  readNext()
}

/** Resolves with the files of a section once it is read; `null` if it cannot be. It is not forgotten before `release`. */
export async function hold(key: string): Promise<{ files: StoredFile[] | null; release: () => void }> {
  held.set(key, (held.get(key) ?? 0) + 1)
  readNext()
  const files = await new Promise<StoredFile[] | null>((resolve) => {
    const stop = effect(() => {
      const one = sections.value.find((other) => other.key === key)
      if (one && one.files === null && one.cursor !== undefined && !failures.value.has(key)) return
      resolve(one?.files ?? null)
      queueMicrotask(() => stop())
    })
  })
  const release = () => {
    const left = (held.get(key) ?? 1) - 1
    if (left > 0) held.set(key, left)
    else held.delete(key)
  }
  return { files, release }
}

/** The files that the user has selected, for one action on all of them. */
import type { StoredFile } from '@minikeepsafe/client'
import { computed, effect, signal } from '@preact/signals'
import { onFileEvent } from '../state/files.ts'
import { phase } from '../state/session.ts'
import { sections } from './lists.ts'
import { hold } from './reading.ts'

export const selected = signal<ReadonlyMap<string, StoredFile>>(new Map())
export const isPicking = computed(() => selected.value.size > 0)
/** The last file that was selected: a range begins here. */
let from: string | null = null

export function toggle(file: StoredFile): void {
  const next = new Map(selected.value)
  if (!next.delete(file.id)) next.set(file.id, file)
  from = file.id
  selected.value = next
}

export function clear(): void {
  from = null
  if (selected.value.size > 0) selected.value = new Map()
}

export function selectAll(files: readonly StoredFile[]): void {
  selected.value = new Map([...selected.value, ...files.map((file) => [file.id, file] as const)])
}

/** Selects all files from the last one that was selected to this one. Months between them are read for it. */
export async function selectTo(file: StoredFile): Promise<void> {
  const all = sections.peek()
  const indexOf = (id: string) => all.findIndex(({ files }) => files?.some((one) => one.id === id))
  const begin = from === null ? -1 : indexOf(from)
  const end = indexOf(file.id)
  if (begin < 0 || end < 0 || from === file.id) return toggle(file)
  const ends = [from, file.id]
  const found: StoredFile[] = []
  for (const { key } of all.slice(Math.min(begin, end), Math.max(begin, end) + 1)) {
    const { files, release } = await hold(key)
    found.push(...(files ?? []))
    release()
  }
  const places = found.flatMap(({ id }, at) => (ends.includes(id) ? [at] : []))
  selectAll(found.slice(places[0], (places.at(-1) ?? 0) + 1))
  from = file.id
}

onFileEvent((event) => {
  const id = event.type === 'gone' ? event.id : event.file.id
  if (!selected.peek().has(id)) return
  const next = new Map(selected.peek())
  if (event.type === 'gone') next.delete(id)
  else next.set(id, event.file)
  selected.value = next
})

effect(() => {
  if (phase.value === 'signed-out') clear()
})

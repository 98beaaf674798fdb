/** The lists of the gallery, all files by date and the found ones by name, and which of their files are shown. */
import { computed, signal } from '@preact/signals'
import { type FileEvent, kindOf } from '../state/files.ts'
import { BY_DATE, BY_NAME } from './order.ts'
import { type Filter, put, type Section, take } from './sections.ts'

export const KINDS = ['all', 'photos', 'videos', 'other'] as const
export type ShownKind = (typeof KINDS)[number]

export const shownKind = signal<ShownKind>('all')
/** The beginning of names that the user looks for; empty for everything. */
export const prefix = signal('')

const FILTERS: Record<ShownKind, Filter> = {
  all: () => true,
  photos: (file) => kindOf(file) === 'picture',
  videos: (file) => kindOf(file) === 'video',
  other: (file) => !['picture', 'video'].includes(kindOf(file)),
}
export const filter = (): Filter => FILTERS[shownKind.peek()]

export const byDate = { sections: signal<Section[]>([]), order: BY_DATE }
export const byName = { sections: signal<Section[]>([]), order: BY_NAME }
export type List = typeof byDate

/** The list on the screen. */
export const current = computed<List>(() => (prefix.value === '' ? byDate : byName))
export const sections = computed(() => current.value.sections.value)
export const order = computed(() => current.value.order)

export function apply(event: FileEvent, { sections, order }: List): void {
  const all = sections.peek()
  if (event.type === 'gone') sections.value = take(all, event.id, order)
  else if (order === BY_DATE || isFound(event.file.name)) sections.value = put(all, event.file, order, filter())
  else sections.value = take(all, event.file.id, order)
}

const isFound = (name: string) => prefix.peek() !== '' && name.startsWith(prefix.peek().normalize('NFC'))

/** The keys of the grid: arrows move, Enter opens, Space selects, Home and End. */
import type { StoredFile } from '@minikeepsafe/client'
import { effect, signal } from '@preact/signals'
import { phase } from '../state/session.ts'
import { geometry, grid, moveTo, screenHeight, top } from './canvas.ts'
import { enter, type Step, spotOf, stepFrom } from './layout.ts'
import { sections } from './lists.ts'
import { hold } from './reading.ts'
import { clear, selectAll, selectTo, toggle } from './selection.ts'

/** The file that has the focus, or had it last. */
export const current = signal<string | null>(null)
/** The focus goes to `current` once it is drawn. */
let isMoving = false

const STEPS: Record<string, Step> = { ArrowLeft: 'left', ArrowRight: 'right', ArrowUp: 'up', ArrowDown: 'down' }

export function fileOf(id: string | undefined): StoredFile | undefined {
  for (const { files } of sections.peek()) {
    const found = files?.find((file) => file.id === id)
    if (found) return found
  }
  return undefined
}

export const idAt = (target: EventTarget | null) =>
  target instanceof Element ? target.closest<HTMLElement>('[data-id]')?.dataset.id : undefined

export function onFocusIn(event: FocusEvent): void {
  const id = idAt(event.target)
  if (id !== undefined) current.value = id
}

export function onKeyDown(event: KeyboardEvent): void {
  const id = idAt(event.target)
  if (id === undefined || event.altKey || event.metaKey) return
  const step = STEPS[event.key]
  const file = fileOf(id)
  if (step && !event.ctrlKey) void go(id, step)
  else if (event.key === 'Home') void goToEnd(0)
  else if (event.key === 'End') void goToEnd(-1)
  else if (event.key === ' ' && file) event.shiftKey ? void selectTo(file) : toggle(file)
  else return
  event.preventDefault()
}

/** Firefox clicks a button when the space bar is released. */
export function onKeyUp(event: KeyboardEvent): void {
  if (event.key === ' ' && idAt(event.target)) event.preventDefault()
}

/** Ctrl+A selects all that is loaded, and Escape ends the selection, wherever the focus is on the page but in a field or dialog. */
export function onPageKey(event: KeyboardEvent): void {
  if (event.target instanceof Element && event.target.closest('input, textarea, select, dialog, .pswp')) return
  if (event.key === 'Escape') clear()
  else if (event.key === 'a' && (event.ctrlKey || event.metaKey)) {
    event.preventDefault()
    selectAll(sections.peek().flatMap(({ files }) => files ?? []))
  }
}

async function go(id: string, step: Step): Promise<void> {
  const { placed } = geometry.peek()
  const at = placed.findIndex(({ section }) => section.files?.some((file) => file.id === id))
  const here = placed[at]
  if (!here) return
  const index = here.section.files?.findIndex((file) => file.id === id) ?? 0
  const next = stepFrom(here.layout, index, step, grid.peek())
  if (next !== null) return focus(here.section.key, next)
  const { x } = spotOf(here.layout, index, grid.peek())
  const forward = step === 'right' || step === 'down'
  for (let other = at + (forward ? 1 : -1); placed[other]; other += forward ? 1 : -1) {
    const key = placed[other]?.section.key as string
    const { files, release } = await hold(key)
    release()
    const layout = geometry.peek().placed.find(({ section }) => section.key === key)?.layout
    if (files && files.length > 0 && layout) return focus(key, enter(layout, step, x, grid.peek()))
  }
}

async function goToEnd(at: 0 | -1): Promise<void> {
  const key = geometry.peek().placed.at(at)?.section.key
  if (key === undefined) return
  const { files, release } = await hold(key)
  release()
  // A month that was read in parts has another section at its end now.
  const one = geometry.peek().placed.at(at)
  if (one && one.section.key !== key && one.section.files === null) return goToEnd(at)
  if (files && files.length > 0) focus(key, at === 0 ? 0 : files.length - 1)
}

/** Room for what stands above the grid while something is selected. */
const MARGIN = 72

function focus(key: string, index: number): void {
  const one = geometry.peek().placed.find(({ section }) => section.key === key)
  const file = one?.section.files?.[index]
  if (!one || !file) return
  const { cell } = grid.peek()
  const y = one.top + spotOf(one.layout, index, grid.peek()).y
  isMoving = true
  current.value = file.id
  const height = screenHeight()
  if (y - MARGIN < top.peek()) moveTo(y - MARGIN)
  else if (y + cell + MARGIN > top.peek() + height) moveTo(y + cell + MARGIN - height)
  restoreFocus()
}

/** Called after the grid was drawn. */
export function restoreFocus(): void {
  if (!isMoving || current.peek() === null) return
  const cell = document.querySelector<HTMLElement>(`[data-id="${current.peek()}"] > .open`)
  if (!cell) return
  isMoving = false
  cell.focus({ preventScroll: true })
}

effect(() => {
  if (phase.value === 'signed-out') current.value = null
})

/** Where the sections stand below each other, and how the page keeps its place when their heights change. */
import { type Grid, guessedDays, type Layout, layoutOf, spotOf } from './layout.ts'
import type { Section } from './sections.ts'

export interface Placed {
  section: Section
  layout: Layout
  top: number
}

export interface Geometry {
  grid: Grid
  placed: Placed[]
  height: number
}

/** Layouts by section: a section that has not changed is not laid out again. */
export type Known = WeakMap<Section, { grid: Grid; layout: Layout }>

export function placeAll(sections: readonly Section[], grid: Grid, known: Known): Geometry {
  let top = 0
  const placed = sections.map((section) => {
    const layout = layoutIn(section, grid, known)
    const one = { section, layout, top }
    top += layout.height
    return one
  })
  return { grid, placed, height: top }
}

function layoutIn(section: Section, grid: Grid, known: Known): Layout {
  const cached = known.get(section)
  if (cached?.grid === grid) return cached.layout
  const layout = layoutOf(section.days ?? guessedDays(section.count, grid.header > 0), grid)
  known.set(section, { grid, layout })
  return layout
}

/** The index of the last section that begins at this height or above it. */
export function sectionAt({ placed }: Geometry, y: number): number {
  let low = 0
  let high = placed.length - 1
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if ((placed[middle] as Placed).top <= y) low = middle
    else high = middle - 1
  }
  return low
}

/** The sections between two heights. */
export function between(geometry: Geometry, above: number, below: number): Placed[] {
  const found: Placed[] = []
  for (let at = sectionAt(geometry, above); at < geometry.placed.length; at += 1) {
    const one = geometry.placed[at] as Placed
    if (one.top >= below) break
    if (one.top + one.layout.height > above) found.push(one)
  }
  return found
}

/** What was at a height stands at this one now: the same file, or the same part of the same section. */
export function follow(before: Geometry, now: Geometry, y: number): number {
  if (y <= 0) return y
  const old = before.placed[sectionAt(before, y)]
  if (!old) return y
  const inside = y - old.top
  const file = fileNear(old, inside, before.grid)
  if (file) {
    for (const { section, layout, top } of now.placed) {
      const index = section.files?.findIndex(({ id }) => id === file.id) ?? -1
      if (index >= 0) return top + spotOf(layout, index, now.grid).y + inside - file.y
    }
  }
  const same = now.placed.find(({ section }) => section.key === old.section.key)
  if (!same) return Math.min(y, now.height)
  return same.top + (old.layout.height === 0 ? 0 : (inside / old.layout.height) * same.layout.height)
}

/** The first file that stands below a height in its section. */
function fileNear({ section, layout }: Placed, inside: number, grid: Grid): { id: string; y: number } | null {
  if (!section.files) return null
  for (const block of layout.blocks) {
    for (let n = 0; n < block.count; n += grid.columns) {
      const { y } = spotOf(layout, block.start + n, grid)
      const file = section.files[block.start + n]
      if (file && y + grid.cell > inside) return { id: file.id, y }
    }
  }
  return null
}

/** Browsers limit the height of an element, so a very high gallery is scrolled through a window of this height. */
export const MOST_PIXELS = 8_000_000

/** Where the page is scrolled to for a height of the gallery, and how much higher the gallery begins than the page shows. */
export function scrollFor(y: number, height: number, screen: number): { scroll: number; shift: number } {
  if (height <= MOST_PIXELS) return { scroll: y, shift: 0 }
  const scroll = Math.round((y / Math.max(1, height - screen)) * (MOST_PIXELS - screen))
  return { scroll, shift: y - scroll }
}

/** The share of the files (0 to 1) that stand above a height. */
export function shareAt(geometry: Geometry, y: number): number {
  const all = countIn(geometry)
  if (all === 0) return 0
  const at = sectionAt(geometry, y)
  const here = geometry.placed[at]
  if (!here) return 0
  const above = geometry.placed.slice(0, at).reduce((sum, { section }) => sum + section.count, 0)
  const part = here.layout.height === 0 ? 0 : Math.min(1, Math.max(0, (y - here.top) / here.layout.height))
  return (above + part * here.section.count) / all
}

/** The height below which this share of the files stands. */
export function heightAt(geometry: Geometry, share: number): number {
  let left = share * countIn(geometry)
  for (const { section, layout, top } of geometry.placed) {
    if (left < section.count) return top + (left / section.count) * layout.height
    left -= section.count
  }
  return geometry.height
}

const countIn = ({ placed }: Geometry) => placed.reduce((sum, { section }) => sum + section.count, 0)

/** Where everything stands in the grid: plain arithmetic, so that nothing has to be drawn to be measured. */
import type { Day } from './sections.ts'

/** All in pixels. */
export interface Grid {
  columns: number
  /** The side of a cell. */
  cell: number
  gap: number
  /** The height of the line above the files of a day. */
  header: number
}

/** The files of a day: in full rows, or beside other short days in one row. */
export interface Block {
  day: string
  /** Of its first file in the section. */
  start: number
  count: number
  column: number
  top: number
}

export interface Layout {
  blocks: Block[]
  height: number
  count: number
}

const GAP = 3
const DAY_LINE = 40
const NARROW = 600
const WANTED_CELL = { narrow: 120, wide: 136 }

/** 3 columns on a phone of 360 px, 12 in a window of 1920 px. `hasDays`: there is a line above each day. */
export function gridFor(width: number, hasDays = true): Grid {
  const wanted = width < NARROW ? WANTED_CELL.narrow : WANTED_CELL.wide
  const columns = Math.max(3, Math.round((width + GAP) / wanted))
  const cell = Math.max(1, Math.floor((width - GAP * (columns - 1)) / columns))
  return { columns, cell, gap: GAP, header: hasDays ? DAY_LINE : 0 }
}

export function layoutOf(days: readonly Day[], { columns, cell, gap, header }: Grid): Layout {
  const blocks: Block[] = []
  let top = 0
  let start = 0
  /** Columns that are taken in the row of short days. */
  let taken = 0
  const row = header + cell + gap
  for (const { day, count } of days) {
    const isBeside = taken > 0 && taken + count <= columns
    if (taken > 0 && !isBeside) {
      top += row
      taken = 0
    }
    blocks.push({ day, start, count, column: taken, top })
    start += count
    if (count <= columns) taken += count
    else top += header + Math.ceil(count / columns) * (cell + gap)
  }
  return { blocks, height: taken > 0 ? top + row : top, count: start }
}

/** A month that is not loaded: its files are taken to be spread over days. */
const USUAL_DAYS = 20

export function guessedDays(count: number, hasDays: boolean): Day[] {
  const days = hasDays ? Math.min(count, USUAL_DAYS) : Math.min(count, 1)
  return Array.from({ length: days }, (_, n) => ({
    day: '',
    count: Math.floor(((n + 1) * count) / days) - Math.floor((n * count) / days),
  }))
}

export interface Spot {
  x: number
  y: number
}

/** The upper left corner of a file in its section. */
export function spotOf({ blocks }: Layout, index: number, grid: Grid): Spot {
  const block = blocks.find(({ start, count }) => index < start + count)
  return block ? spotIn(block, index - block.start, grid) : { x: 0, y: 0 }
}

export function spotIn({ column, top }: Block, n: number, { columns, cell, gap, header }: Grid): Spot {
  const at = column + n
  return { x: (at % columns) * (cell + gap), y: top + header + Math.floor(at / columns) * (cell + gap) }
}

/** What of a block is between two heights of its section: files from `from` to before `to`. `null` if nothing is. */
export function cut(block: Block, above: number, below: number, grid: Grid): { from: number; to: number } | null {
  const { columns, cell, gap, header } = grid
  const rows = Math.ceil((block.column + block.count) / columns)
  const height = header + rows * (cell + gap)
  if (block.top >= below || block.top + height <= above) return null
  const first = Math.max(0, Math.floor((above - block.top - header) / (cell + gap)))
  const last = Math.min(rows, Math.ceil((below - block.top - header) / (cell + gap)))
  // A block of several rows begins in the first column.
  return { from: Math.min(first * columns, block.count), to: Math.max(0, Math.min(last * columns, block.count)) }
}

export type Step = 'left' | 'right' | 'up' | 'down'

interface Row {
  top: number
  cells: { index: number; x: number }[]
}

function rowsOf(layout: Layout, grid: Grid): Row[] {
  const rows: Row[] = []
  for (const block of layout.blocks) {
    for (let n = 0; n < block.count; n += 1) {
      const { x, y } = spotIn(block, n, grid)
      const last = rows.at(-1)
      if (last?.top === y) last.cells.push({ index: block.start + n, x })
      else rows.push({ top: y, cells: [{ index: block.start + n, x }] })
    }
  }
  return rows
}

/** The file that an arrow key reaches in the same section; `null` if it is in the section before or after. */
export function stepFrom(layout: Layout, index: number, step: Step, grid: Grid): number | null {
  if (step === 'left') return index > 0 ? index - 1 : null
  if (step === 'right') return index + 1 < layout.count ? index + 1 : null
  const { x, y } = spotOf(layout, index, grid)
  const rows = rowsOf(layout, grid)
  const at = rows.findIndex(({ top }) => top === y)
  const row = rows[step === 'up' ? at - 1 : at + 1]
  return row ? nearest(row, x) : null
}

/** Where an arrow key enters a section from its neighbour. */
export function enter(layout: Layout, step: Step, x: number, grid: Grid): number {
  if (step === 'right' || layout.count === 0) return 0
  if (step === 'left') return layout.count - 1
  const rows = rowsOf(layout, grid)
  const row = step === 'down' ? rows[0] : rows.at(-1)
  return row ? nearest(row, x) : 0
}

function nearest({ cells }: Row, x: number): number {
  const best = cells.reduce((one, other) => (Math.abs(other.x - x) < Math.abs(one.x - x) ? other : one))
  return best.index
}

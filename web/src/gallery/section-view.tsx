import { Component } from 'preact'
import { Button } from '../parts/button.tsx'
import { retry } from '../state/timeline.ts'
import { formatDay, formatMonth } from '../words/formats.ts'
import { t } from '../words/words.ts'
import { Cell } from './cell.tsx'
import { shortDay } from './day-names.ts'
import type { Placed } from './geometry.ts'
import { type Block, cut, type Grid, spotIn } from './layout.ts'
import { failures } from './reading.ts'
import { isPicking, selected } from './selection.ts'

interface Props {
  placed: Placed
  grid: Grid
  /** On the page. */
  top: number
  /** In the section: what is drawn. */
  above: number
  below: number
  /** The file that the Tab key reaches. It is drawn wherever it is, so that the focus is not lost. */
  current: string | null
}

/** A month, or a part of one. */
export class SectionView extends Component<Props> {
  render({ placed: { section, layout }, grid, top }: Props) {
    const { files, month, key } = section
    const style = { top: `${top}px`, height: `${layout.height}px` }
    const name = month === '' ? t.value.gallery.results : formatMonth(month)
    return (
      <section style={style} aria-label={name} data-key={key}>
        {files ? layout.blocks.map((block) => this.block(block)) : <Waiting of={key} grid={grid} />}
      </section>
    )
  }

  private block(block: Block) {
    const { placed, grid, above, below, current } = this.props
    const files = placed.section.files ?? []
    const seen = cut(block, above, below, grid)
    const kept = current === null ? -1 : files.findIndex(({ id }) => id === current) - block.start
    const isKept = kept >= 0 && kept < block.count
    if (!seen && !isKept) return null
    const { from, to } = seen ?? { from: 0, to: 0 }
    const shown = Array.from({ length: to - from }, (_, n) => from + n)
    if (isKept && (kept < from || kept >= to)) shown.push(kept)
    return [
      seen && block.day !== '' && <DayLine key={`day ${block.start}`} block={block} grid={grid} />,
      ...shown.map((n) => {
        const file = files[block.start + n]
        if (!file) return null
        const { x, y } = spotIn(block, n, grid)
        return (
          <Cell
            key={file.id}
            file={file}
            x={x}
            y={y}
            size={grid.cell}
            isPicked={selected.value.has(file.id)}
            isPicking={isPicking.value}
            isCurrent={file.id === current}
          />
        )
      }),
    ]
  }
}

function DayLine({ block: { day, column, count, top }, grid: { columns, cell, gap } }: { block: Block; grid: Grid }) {
  const wide = Math.min(count, columns - column)
  const style = { left: `${column * (cell + gap)}px`, top: `${top}px`, width: `${wide * (cell + gap) - gap}px` }
  return (
    <h2 style={style} title={formatDay(day)}>
      <span>{shortDay(day)}</span>
    </h2>
  )
}

function Waiting({ of, grid: { cell, gap } }: { of: string; grid: Grid }) {
  if (!failures.value.has(of)) return <div class="waiting" style={{ '--step': `${cell + gap}px` }} aria-busy="true" />
  return (
    <div class="waiting is-failed">
      <Button onClick={retry}>{t.value.common.retry}</Button>
    </div>
  )
}

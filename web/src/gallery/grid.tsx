import './grid.css'
import { useLayoutEffect, useRef } from 'preact/hooks'
import { t } from '../words/words.ts'
import { attach, drawn, geometry, grid, shift, top as upperEdge } from './canvas.ts'
import { between, type Placed } from './geometry.ts'
import { current, onFocusIn, onKeyDown, onKeyUp, restoreFocus } from './keyboard.ts'
import { cut } from './layout.ts'
import { onClick, onContextMenu, onPointerDown, onPointerEnd, onPointerMove } from './pointer.ts'
import { SectionView } from './section-view.tsx'
import { isPicking } from './selection.ts'

/** The files. Only those near the screen are in the document. */
export function Grid() {
  const host = useRef<HTMLDivElement>(null)
  useLayoutEffect(() => (host.current ? attach(host.current) : undefined), [])
  useLayoutEffect(restoreFocus)

  const { above, below } = drawn.value
  const shown = between(geometry.value, above, below)
  const focused = current.value
  const isHere = ({ section }: Placed) => section.files?.some(({ id }) => id === focused) ?? false
  const holder = focused === null ? undefined : geometry.value.placed.find(isHere)
  if (holder && !shown.includes(holder)) shown.push(holder)
  const tabbed = holder ? focused : firstOf(shown)
  return (
    // biome-ignore lint/a11y/useSemanticElements: it is no group of fields.
    <div
      ref={host}
      class={isPicking.value ? 'grid is-picking' : 'grid'}
      role="group"
      aria-label={t.value.gallery.files}
      onClick={onClick}
      onKeyDown={onKeyDown}
      onKeyUp={onKeyUp}
      onFocusIn={onFocusIn}
      onPointerDown={onPointerDown}
      onPointerMove={onPointerMove}
      onPointerUp={onPointerEnd}
      onPointerCancel={onPointerEnd}
      onContextMenu={onContextMenu}
    >
      {shown.map((placed) => (
        <SectionView
          key={placed.section.key}
          placed={placed}
          grid={grid.value}
          top={placed.top - shift.value}
          above={above - placed.top}
          below={below - placed.top}
          current={tabbed}
        />
      ))}
    </div>
  )
}

/** The first file on the screen. */
function firstOf(shown: Placed[]): string | null {
  const y = upperEdge.peek()
  for (const { section, layout, top } of shown) {
    for (const block of layout.blocks) {
      const seen = cut(block, y - top, Number.POSITIVE_INFINITY, grid.peek())
      const file = seen && section.files?.[block.start + seen.from]
      if (file) return file.id
    }
  }
  return null
}

import './scrubber.css'
import { computed, type ReadonlySignal, useComputed, useSignal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import { formatMonth } from '../words/formats.ts'
import { t } from '../words/words.ts'
import { geometry, jumpTo, screenHeight, top } from './canvas.ts'
import { heightAt, shareAt } from './geometry.ts'
import { type Mark, marksOf, monthAt } from './marks.ts'

const AWAKE_MS = 1500
/** A gallery of fewer screens than this needs no scrubber. */
const SCREENS = 3

const marks = computed<Mark[]>(() => marksOf(geometry.value.placed.map(({ section }) => section)))

/** A track of years and months, in proportion to their files: it shows where the page is, and jumps. */
export function Scrubber() {
  const track = useRef<HTMLDivElement>(null)
  const isHeld = useSignal(false)
  const isAwake = useSignal(false)
  const share = useComputed(() => shareAt(geometry.value, top.value))
  const month = useComputed(() => monthAt(marks.value, share.value))
  const isNeeded = useComputed(() => geometry.value.height > SCREENS * screenHeight() && marks.value.length > 0)

  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined
    const wake = () => {
      isAwake.value = true
      clearTimeout(timer)
      timer = setTimeout(() => {
        isAwake.value = false
      }, AWAKE_MS)
    }
    addEventListener('scroll', wake, { passive: true })
    return () => {
      removeEventListener('scroll', wake)
      clearTimeout(timer)
    }
  }, [])
  if (!isNeeded.value) return null

  const all = marks.value
  const at = month.value
  const here = all[at] as Mark
  const text = t.value.gallery.monthWithFiles(formatMonth(here.month), here.files)
  const go = (to: number) => jumpTo(heightAt(geometry.peek(), Math.min(1, Math.max(0, to))))
  const drag = (event: PointerEvent) => {
    const box = track.current?.getBoundingClientRect()
    if (box) go((event.clientY - box.top) / box.height)
  }
  const goToMonth = (index: number) => {
    const mark = all[Math.min(all.length - 1, Math.max(0, index))]
    if (mark) go(mark.from + 1e-9)
  }
  const onKeyDown = (event: KeyboardEvent) => {
    const to: Record<string, number> = {
      ...{ ArrowDown: at + 1, ArrowRight: at + 1, ArrowUp: at - 1, ArrowLeft: at - 1 },
      ...{ PageDown: at + 12, PageUp: at - 12, Home: 0, End: all.length - 1 },
    }
    const index = to[event.key]
    if (index === undefined) return
    event.preventDefault()
    goToMonth(index)
  }
  return (
    <div
      ref={track}
      class={`scrubber${isAwake.value ? ' is-awake' : ''}${isHeld.value ? ' is-held' : ''}`}
      role="slider"
      tabIndex={0}
      aria-label={t.value.gallery.date}
      aria-orientation="vertical"
      aria-valuemin={0}
      aria-valuemax={all.length - 1}
      aria-valuenow={at}
      aria-valuetext={text}
      onKeyDown={onKeyDown}
      onPointerDown={(event) => {
        track.current?.setPointerCapture(event.pointerId)
        isHeld.value = true
        drag(event)
      }}
      onPointerMove={(event) => isHeld.peek() && drag(event)}
      onPointerUp={() => {
        isHeld.value = false
      }}
      onPointerCancel={() => {
        isHeld.value = false
      }}
    >
      <Track />
      <Thumb share={share} isHeld={isHeld} isAwake={isAwake} month={here.month} />
    </div>
  )
}

/** It is drawn again only when the months change. */
function Track() {
  return (
    <>
      {marks.value.map(({ month, from, isYear }, index) =>
        isYear ? (
          <span key={month} class="year" style={{ top: `${from * 100}%` }}>
            {month.slice(0, 4)}
          </span>
        ) : (
          index > 0 && <span key={month} class="tick" style={{ top: `${from * 100}%` }} />
        ),
      )}
    </>
  )
}

interface ThumbProps {
  share: ReadonlySignal<number>
  isHeld: ReadonlySignal<boolean>
  isAwake: ReadonlySignal<boolean>
  month: string
}

/** It moves with each frame. */
function Thumb({ share, isHeld, isAwake, month }: ThumbProps) {
  const isNamed = isHeld.value || (isAwake.value && top.value > 0)
  return (
    <div class="rail" style={{ transform: `translateY(${share.value * 100}%)` }}>
      <span class="thumb" />
      {isNamed && <span class="bubble">{formatMonth(month)}</span>}
    </div>
  )
}

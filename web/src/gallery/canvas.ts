/** The part of the gallery that is on the screen. There is one gallery on the page, and the page itself scrolls. */
import { computed, effect, signal, untracked } from '@preact/signals'
import { between, follow, type Geometry, MOST_PIXELS, type Placed, placeAll, scrollFor } from './geometry.ts'
import { gridFor } from './layout.ts'
import { order, prefix, sections } from './lists.ts'
import { BY_DATE } from './order.ts'
import { want } from './reading.ts'

/** The width of the gallery, and the height of the window. */
const size = signal({ width: 360, height: 740 })
export const grid = computed(() => gridFor(size.value.width, order.value === BY_DATE))
const known = new WeakMap()
export const geometry = computed<Geometry>(() => placeAll(sections.value, grid.value, known))
/** How much higher the gallery begins than the page shows: heights above the screen change without a scroll. */
export const shift = signal(0)
/** The height of the gallery at the upper edge of the window. */
export const top = signal(0)
/** Cells are drawn between these two heights. */
export const drawn = signal({ above: 0, below: 0 })
/** While files rush by, their pictures are not requested. */
export const isRushing = signal(false)
/** The height of what stands above the gallery on the page. */
let offset = 0
let host: HTMLElement | null = null
/** Where the user left the gallery for another screen. */
let left = 0

const DRAWN_STEP = 120
const IDLE_MS = 140
/** The share of the window that passes between two frames. */
const RUSH = 0.25

export const screenHeight = () => size.peek().height

/** Follows the page. Returns how to stop. */
export function attach(element: HTMLElement): () => void {
  host = element
  measure()
  const resized = new ResizeObserver(measure)
  resized.observe(element)
  addEventListener('scroll', scrolled, { passive: true })
  addEventListener('resize', measure)
  const stop = effect(() => {
    element.style.height = `${heightOnPage()}px`
  })
  if (left > 0) moveTo(left)
  return () => {
    left = top.peek()
    stop()
    resized.disconnect()
    removeEventListener('scroll', scrolled)
    removeEventListener('resize', measure)
    clearTimeout(idle)
    host = null
    shift.value = 0
    top.value = 0
    last = null
  }
}

function heightOnPage(): number {
  return Math.min(geometry.value.height - shift.value, MOST_PIXELS)
}

function measure(): void {
  if (!host) return
  const { top: above, width } = host.getBoundingClientRect()
  offset = above + scrollY
  const { width: oldWidth, height } = size.peek()
  if (width > 0 && (width !== oldWidth || innerHeight !== height)) size.value = { width, height: innerHeight }
  draw(true)
}

let idle: ReturnType<typeof setTimeout> | undefined
let isTouched = false
addEventListener('touchstart', () => (isTouched = true), { passive: true })
addEventListener('touchend', () => (isTouched = false), { passive: true })
addEventListener('touchcancel', () => (isTouched = false), { passive: true })

function scrolled(): void {
  const { height } = geometry.peek()
  const before = top.peek()
  const onPage = scrollY - offset
  const isFar = Math.abs(onPage + shift.peek() - before) > 20 * innerHeight
  // The bar at the edge of the window is dragged: its place stands for a place in the whole.
  if (isFar && height > MOST_PIXELS && shift.peek() !== 0) {
    const share = Math.max(0, onPage) / (MOST_PIXELS - innerHeight)
    shift.value = share * (height - innerHeight) - onPage
  }
  top.value = onPage + shift.peek()
  isRushing.value = Math.abs(top.peek() - before) > innerHeight * RUSH
  clearTimeout(idle)
  idle = setTimeout(settle, IDLE_MS)
  // The upper end of the page must be the upper end of the gallery.
  if (shift.peek() !== 0 && onPage < innerHeight && top.peek() > 0) settle()
  draw()
}

/** The page stands still: its place on the scroll bar is made true again. */
function settle(): void {
  isRushing.value = false
  if (isTouched) return
  const y = top.peek()
  const right = scrollFor(Math.max(0, y), geometry.peek().height, innerHeight)
  if (y >= 0 && Math.abs(right.shift - shift.peek()) >= 1) moveTo(y)
  measure()
}

/** Scrolls the page, so that this height of the gallery is at the upper edge of the window. */
export function moveTo(y: number): void {
  if (!host) return
  const { height } = geometry.peek()
  const target = Math.min(Math.max(y, -offset), Math.max(0, height - innerHeight / 2))
  const { scroll, shift: right } = scrollFor(target, height, innerHeight)
  shift.value = right
  top.value = target
  scrollTo({ top: offset + scroll, behavior: 'instant' })
  draw()
}

/** A jump: pictures are requested once it stays. */
export function jumpTo(y: number): void {
  isRushing.value = true
  clearTimeout(idle)
  idle = setTimeout(settle, IDLE_MS)
  moveTo(y)
}

function draw(always = false): void {
  const { height } = size.peek()
  const above = Math.floor((top.peek() - height * 0.75) / DRAWN_STEP) * DRAWN_STEP
  const below = Math.ceil((top.peek() + height * 1.75) / DRAWN_STEP) * DRAWN_STEP
  const now = drawn.peek()
  if (always || now.above !== above || now.below !== below) drawn.value = { above, below }
}

let last: Geometry | null = null

/** Heights have changed: what is on the screen stays where it is. */
effect(() => {
  const now = geometry.value
  untracked(() => {
    const before = last
    last = now
    if (!host || !before || before === now) return
    const y = follow(before, now, top.peek())
    shift.value += y - top.peek()
    top.value = y
    draw(true)
    clearTimeout(idle)
    idle = setTimeout(settle, IDLE_MS)
  })
})

effect(() => {
  if (sections.value.length === 0) left = 0
})

// Another list begins at its beginning.
effect(() => {
  prefix.value
  untracked(() => {
    last = null
    if (host && scrollY > 0) moveTo(-offset)
  })
})

let lastWanted = ''

/** Loads the sections near the screen, beginning with those on the screen. */
effect(() => {
  const all = geometry.value
  const { above, below } = drawn.value
  if (isRushing.value || below === 0) return
  untracked(() => {
    const y = top.peek()
    const height = screenHeight()
    const distance = ({ top, layout }: Placed) => (top < y + height && top + layout.height > y ? 0 : Math.abs(top - y))
    const near = between(all, above - height / 2, below + height).sort((one, other) => distance(one) - distance(other))
    const keys = near.map(({ section }) => section.key)
    const text = keys.join('\n') + near.map(({ section }) => Number(section.files === null)).join('')
    if (text === lastWanted) return
    lastWanted = text
    want(keys)
  })
})

/** Clicks and touches of the grid. A long press selects, as in the galleries of phones. */
import { openViewer } from '../viewer/open-viewer.ts'
import { current, fileOf, idAt } from './keyboard.ts'
import { isShown, neighbours } from './neighbours.ts'
import { isPicking, selectTo, toggle } from './selection.ts'

const LONG_PRESS_MS = 450
const STILL_PX = 10

let pressed: { id: string; x: number; y: number; timer: ReturnType<typeof setTimeout> } | null = null
/** The click that ends a long press opens nothing. */
let wasLong = false

export function onPointerDown(event: PointerEvent): void {
  wasLong = false
  onPointerEnd()
  const id = idAt(event.target)
  if (id === undefined || event.pointerType === 'mouse' || !event.isPrimary) return
  const timer = setTimeout(() => longPress(id), LONG_PRESS_MS)
  pressed = { id, x: event.clientX, y: event.clientY, timer }
}

export function onPointerMove(event: PointerEvent): void {
  if (pressed && Math.hypot(event.clientX - pressed.x, event.clientY - pressed.y) > STILL_PX) onPointerEnd()
}

export function onPointerEnd(): void {
  clearTimeout(pressed?.timer)
  pressed = null
}

function longPress(id: string): void {
  pressed = null
  const file = fileOf(id)
  if (!file) return
  wasLong = true
  navigator.vibrate?.(12)
  // The second one selects all files between both.
  if (isPicking.peek()) void selectTo(file)
  else toggle(file)
}

/** The browser's menu of a picture would end a long press. */
export function onContextMenu(event: MouseEvent): void {
  if (wasLong || pressed) event.preventDefault()
}

export function onClick(event: MouseEvent): void {
  const file = fileOf(idAt(event.target))
  if (!file) return
  if (wasLong) {
    wasLong = false
    event.preventDefault()
    return
  }
  const isPick = event.target instanceof Element && event.target.closest('.pick') !== null
  const isPlain = !isPick && !isPicking.peek() && !event.shiftKey && !event.ctrlKey && !event.metaKey
  current.value = file.id
  // The link of a file that is not shown downloads it.
  if (isPlain && !isShown(file)) return
  event.preventDefault()
  if (isPlain) void openViewer(file, neighbours)
  else if (event.shiftKey) void selectTo(file)
  else toggle(file)
}

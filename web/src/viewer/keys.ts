/** Keys beyond PhotoSwipe's own: arrows, Escape, and z to zoom. */
import type PhotoSwipe from 'photoswipe'
import type { Controls } from './controls.tsx'

const ZOOM_STEP = 1.5
const SCROLLS_PAGE = [' ', 'PageUp', 'PageDown', 'Home', 'End']

export function listenToKeys(pswp: PhotoSwipe, controls: () => Controls): void {
  pswp.on('keydown', (event) => {
    const key = event.originalEvent
    const { target } = key
    if (!(target instanceof Element)) return
    // A dialog lies above, for example the lock.
    if (document.querySelector('dialog[open]')) event.preventDefault()
    else if (key.key === 'Escape') {
      if (!controls().closeInfo()) return
      key.preventDefault()
      event.preventDefault()
    } else if (isForOthers(target)) event.preventDefault()
    else if (!key.ctrlKey && !key.metaKey && !key.altKey && ownAction(pswp, controls(), key)) {
      key.preventDefault()
      event.preventDefault()
    }
    // PhotoSwipe would take the focus to itself.
    else if (key.key === 'Tab') event.preventDefault()
  })
}

/** Fields and players have keys of their own. */
function isForOthers(target: Element): boolean {
  return target.closest('input, textarea, video, audio, .notices') !== null
}

function ownAction(pswp: PhotoSwipe, controls: Controls, { key, target }: KeyboardEvent): boolean {
  if (key === '+' || key === '=') zoomBy(pswp, ZOOM_STEP)
  else if (key === '-') zoomBy(pswp, 1 / ZOOM_STEP)
  else if (key === 'i') controls.toggleInfo()
  else return SCROLLS_PAGE.includes(key) && target === pswp.element
  return true
}

function zoomBy(pswp: PhotoSwipe, factor: number): void {
  const { currSlide: slide } = pswp
  if (!slide?.isZoomable()) return
  slide.zoomTo(
    Math.max(slide.zoomLevels.initial, slide.currZoomLevel * factor),
    pswp.getViewportCenterPoint(),
    pswp.options.zoomAnimationDuration,
  )
}

/** Opens PhotoSwipe with our slides and controls. This file and what it imports are loaded when a file is opened for the first time. */
import type { StoredFile } from '@minikeepsafe/client'
import { effect } from '@preact/signals'
import PhotoSwipe, { type PhotoSwipeOptions, type SlideData } from 'photoswipe'
import 'photoswipe/photoswipe.css'
import './viewer.css'
import { onFileEvent } from '../state/files.ts'
import { isLocked } from '../state/lock.ts'
import { phase, user } from '../state/session.ts'
import { t } from '../words/words.ts'
import { type Controls, mountControls } from './controls.tsx'
import { openFollowing } from './following.ts'
import { enterHistory } from './history.ts'
import { listenToKeys } from './keys.ts'
import { makeOpenEnded, refresh, whenOpen } from './open-ended.ts'
import type { Neighbours } from './open-viewer.ts'
import { silence } from './player.ts'
import { forgetSizes, prepareSize } from './sizes.ts'
import { fileOf, showSlides, slideOf } from './slides.ts'
import { openStrip, START } from './strip.ts'
import { cellOf, makeBackgroundInert } from './surroundings.ts'

/** Of the window, from which on the details are beside the picture and not below it. */
const WIDE = '(min-width: 800px)'
const PANEL_WIDTH = 360
const PANEL_SHARE = 0.55
const ANIMATION_MS = 220

const BEHAVIOUR: PhotoSwipeOptions = {
  mainClass: 'viewer',
  index: START,
  loop: false,
  bgOpacity: 1,
  preload: [1, 1],
  showAnimationDuration: ANIMATION_MS,
  hideAnimationDuration: ANIMATION_MS,
  zoomAnimationDuration: ANIMATION_MS,
  secondaryZoomLevel: ({ fit }) => Math.max(fit * 2.5, Math.min(1, fit * 3)),
  maxZoomLevel: ({ fit }) => Math.max(2, fit * 6),
  // The page behind is inert, and the notices beside the viewer can be reached.
  trapFocus: false,
  returnFocus: false,
  // Our own controls are in their place.
  ...{ close: false, zoom: false, counter: false, arrowPrev: false, arrowNext: false, preloader: false },
}

export async function show(start: StoredFile, neighbours: Neighbours): Promise<void> {
  const owner = user()
  const strip = openStrip(start, neighbours, { prepare: prepareSize, onGrown: onGrown })
  await prepareSize(start)
  const leaveHistory = await enterHistory(() => whenOpen(pswp, () => pswp.close()))
  if (owner === null || user() !== owner) return leaveHistory()

  const pswp = new PhotoSwipe({
    appendToEl: document.getElementById('app') ?? document.body,
    ...BEHAVIOUR,
    paddingFn: ({ x, y }) => roomForPanel(controls.isInfoOpen.peek(), { x, y }),
  })

  pswp.addFilter('itemData', (data: SlideData, index: number) => {
    const file = strip.at(index)
    return file ? slideOf(file) : data
  })
  pswp.addFilter('thumbEl', (_, data) => cellOf(fileOf({ data })) as HTMLElement)
  makeOpenEnded(pswp, strip)
  showSlides(pswp, () => controls.measured())
  listenToKeys(pswp, () => controls)

  const following = openFollowing(pswp, strip, { onChanged: () => controls.changed() })
  const controls: Controls = mountControls(pswp, strip, following)
  const endings = [
    makeBackgroundInert(),
    controls.unmount,
    onFileEvent((event) => {
      if (event.type === 'gone') following.forget(event.id)
      else following.change(event.file)
    }),
    effect(() => {
      if (isLocked.value) silence(pswp.element, false)
    }),
    effect(() => {
      if (phase.value !== 'signed-out') return
      forgetSizes()
      // At once, whatever it is doing.
      pswp.element?.remove()
      whenOpen(pswp, () => pswp.destroy())
    }),
  ]

  pswp.on('change', () => {
    for (const [place, { el }] of pswp.mainScroll.itemHolders.entries()) el.inert = place !== 1
    const file = strip.at(pswp.currIndex)
    if (file) pswp.element?.setAttribute('aria-label', file.name)
    controls.changed()
    void strip.look(pswp.currIndex)
  })
  pswp.on('close', () => {
    controls.isInfoOpen.value = false
    leaveHistory()
  })
  pswp.on('destroy', () => {
    for (const end of endings) end()
    focusCell()
  })

  const focused = document.activeElement
  pswp.init()
  pswp.element?.setAttribute('aria-modal', 'true')
  pswp.scrollWrap?.setAttribute('aria-label', t.value.viewer.slides)
  pswp.element?.focus({ preventScroll: true })

  function onGrown(index: number): void {
    refresh(pswp, index)
    controls.changed()
  }

  function focusCell(): void {
    const last = strip.at(pswp.currIndex)
    const cell = last && cellOf(last)?.closest<HTMLElement>('button, a')
    const target = cell ?? (focused instanceof HTMLElement && focused.isConnected ? focused : null)
    target?.focus({ preventScroll: true })
  }
}

function roomForPanel(isOpen: boolean, { x, y }: { x: number; y: number }) {
  const isWide = matchMedia(WIDE).matches
  const right = isOpen && isWide ? Math.min(PANEL_WIDTH, x / 2) : 0
  return { top: 0, left: 0, right, bottom: isOpen && !isWide ? y * PANEL_SHARE : 0 }
}

/** PhotoSwipe has a fixed number of slides from 0 on. These changes let both ends move while it is open. */
import type PhotoSwipe from 'photoswipe'
import type { Strip } from './strip.ts'

/** Dragging beyond an end moves the slide by this part of the way, as PhotoSwipe does at its own ends. */
const FRICTION = 0.35

type Ends = Pick<Strip, 'at' | 'first' | 'last'>

export function makeOpenEnded(pswp: PhotoSwipe, strip: Ends): void {
  pswp.addFilter('numItems', () => strip.last() + 1)
  pswp.on('lazyLoadSlide', (event) => {
    if (!strip.at(event.index)) event.preventDefault()
  })

  const setContent = pswp.setContent.bind(pswp)
  pswp.setContent = (holder, index, force) => {
    if (strip.at(index)) return setContent(holder, index, force)
    holder.slide?.destroy()
    delete holder.slide
  }

  const { mainScroll } = pswp
  const moveIndexBy = mainScroll.moveIndexBy.bind(mainScroll)
  mainScroll.moveIndexBy = (diff, ...rest) => moveIndexBy(Math.max(diff, strip.first() - pswp.potentialIndex), ...rest)

  const moveTo = mainScroll.moveTo.bind(mainScroll)
  mainScroll.moveTo = (x, dragging) => {
    const isBeyond = pswp.currIndex === strip.first() && x > mainScroll.getCurrSlideX()
    moveTo(dragging && isBeyond && x > mainScroll.x ? mainScroll.x + (x - mainScroll.x) * FRICTION : x, dragging)
  }
}

/** PhotoSwipe ignores what happens during its opening animation. */
export function whenOpen(pswp: PhotoSwipe, run: () => void): void {
  if (pswp.opener.isOpen) run()
  else pswp.on('openingAnimationEnd', () => queueMicrotask(run))
}

/** A file became known, or another file is now at the index: shows it if its slide is one of the three that exist. */
export function refresh(pswp: PhotoSwipe, index: number): void {
  pswp.contentLoader.removeByIndex(index)
  const place = index - pswp.currIndex + 1
  const holder = pswp.mainScroll.itemHolders[place]
  // The two beside are made when the opening animation ends.
  if (!holder || (place !== 1 && !pswp.opener.isOpen)) return
  pswp.setContent(holder, index, true)
  if (place === 1 && holder.slide) {
    pswp.currSlide = holder.slide
    holder.slide.setIsActive(true)
  }
}

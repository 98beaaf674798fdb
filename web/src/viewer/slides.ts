/** What a slide shows: a picture, a player, or why there is neither. */
import type { StoredFile } from '@minikeepsafe/client'
import type PhotoSwipe from 'photoswipe'
import type { SlideData } from 'photoswipe'
import { cannotOpen, mayOpen } from '../pictures/openable.ts'
import { kindOf } from '../state/files.ts'
import { client } from '../state/session.ts'
import { whenOpen } from './open-ended.ts'
import { isForPlayer, player, silence } from './player.ts'
import { enlarged, layoutSize, learnSize } from './sizes.ts'
import { unshowable } from './unshowable.tsx'

type Slide = NonNullable<PhotoSwipe['currSlide']>
type Content = Slide['content']

export const fileOf = ({ data }: { data: SlideData }): StoredFile => data.file as StoredFile

export function slideOf(file: StoredFile): SlideData {
  const thumbnail = file.thumbnail === null ? {} : { msrc: client.urls.thumbnail(file.name, file.thumbnail) }
  const common = { file, alt: file.name, ...thumbnail }
  if (kindOf(file) !== 'picture') return { ...common, type: 'player' }
  if (!mayOpen(file.contentType)) return { ...common, type: 'unshowable' }
  const { width, height } = layoutSize(file, windowSize())
  const src = client.urls.file(file.name, { inline: true })
  return { ...common, type: 'image', src, width, height, thumbCropped: true }
}

/** `onMeasured` is called when the size of a picture or the length of a film becomes known. */
export function showSlides(pswp: PhotoSwipe, onMeasured: (file: StoredFile) => void): void {
  pswp.addFilter('placeholderSrc', (_, { data }) => data.msrc ?? false)

  pswp.on('contentLoad', (event) => {
    const { content } = event
    if (content.type === 'image') return
    event.preventDefault()
    const file = fileOf(content)
    content.element = content.type === 'player' ? player(file, () => onMeasured(file)) : unshowable(file)
    content.state = 'loaded'
  })

  pswp.on('pointerDown', (event) => {
    if (isForPlayer(event.originalEvent)) event.preventDefault()
  })

  pswp.on('loadComplete', ({ slide, content, isError }) => {
    if (isError || !(content.element instanceof HTMLImageElement)) return
    const { naturalWidth: width, naturalHeight: height } = content.element
    learnSize(fileOf(content), { width, height })
    onMeasured(fileOf(content))
    whenOpen(pswp, () => resize(slide, content))
  })

  pswp.addFilter('contentErrorElement', (_, content) => {
    const file = fileOf(content)
    cannotOpen(file.contentType)
    return unshowable(file, () => pswp.refreshSlideContent(content.index))
  })
  // PhotoSwipe would load it again whenever it is shown.
  pswp.on('contentActivate', (event) => {
    if (!event.content.isError()) return
    event.preventDefault()
    event.content.slide?.holderElement?.setAttribute('aria-hidden', 'false')
  })

  for (const type of ['contentDeactivate', 'contentRemove', 'contentDestroy'] as const)
    pswp.on(type, ({ content }) => silence(content.element, type === 'contentDestroy'))
}

/** The real size, in place of the supposed one. What the user sees stays where it is. */
function resize(slide: Slide, content: Content): void {
  const { width, height } = enlarged(naturalSize(content), windowSize())
  if (slide.width === width && slide.height === height) return
  const [shownWidth, isInitial] = [slide.currZoomLevel * slide.width, slide.currZoomLevel === slide.zoomLevels.initial]
  Object.assign(content, { width, height })
  Object.assign(content.data, { width, height })
  Object.assign(slide, { width, height })
  if (isInitial) {
    slide.resize()
    return
  }
  slide.calculateSize()
  slide.currentResolution = 0
  slide.setZoomLevel(shownWidth / width)
  slide.updateContentSize(true)
  slide.panTo(slide.pan.x, slide.pan.y)
}

function naturalSize({ element }: Content) {
  const { naturalWidth, naturalHeight } = element as HTMLImageElement
  return { width: naturalWidth, height: naturalHeight }
}

const windowSize = () => ({ width: innerWidth, height: innerHeight })

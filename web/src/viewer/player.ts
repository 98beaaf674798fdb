/** The browser's own player. It reads the ranges that it needs. */
import type { StoredFile } from '@minikeepsafe/client'
import { kindOf } from '../state/files.ts'
import { client } from '../state/session.ts'
import { learnLength, learnSize } from './sizes.ts'
import { unshowable } from './unshowable.tsx'

/** `onMeasured` is called when size and length are known. */
export function player(file: StoredFile, onMeasured: () => void): HTMLDivElement {
  const isVideo = kindOf(file) === 'video'
  const media = document.createElement(isVideo ? 'video' : 'audio')
  media.controls = true
  media.preload = 'metadata'
  media.setAttribute('aria-label', file.name)
  if (media instanceof HTMLVideoElement) {
    media.playsInline = true
    if (file.thumbnail !== null) media.poster = client.urls.thumbnail(file.name, file.thumbnail)
  }
  const frame = document.createElement('div')
  frame.className = `viewer-player ${isVideo ? 'is-video' : 'is-audio'}`
  frame.append(media)
  media.addEventListener('loadedmetadata', () => {
    if (media instanceof HTMLVideoElement) learnSize(file, { width: media.videoWidth, height: media.videoHeight })
    if (Number.isFinite(media.duration)) learnLength(file, media.duration * 1000)
    onMeasured()
  })
  media.addEventListener('error', () => {
    if (media.hasAttribute('src')) frame.replaceChildren(unshowable(file))
  })
  media.src = client.urls.file(file.name, { inline: true })
  return frame
}

/** At the lower edge of a film, where its controls are. */
const CONTROLS_PX = 96

/** A pointer there is for the player, a link or a button: PhotoSwipe must not take it for a swipe. */
export function isForPlayer({ target, pointerType, clientY }: PointerEvent): boolean {
  const element = target instanceof Element ? target.closest('a, button, audio, video') : null
  if (!(element instanceof HTMLVideoElement)) return element !== null
  return pointerType === 'mouse' || clientY > element.getBoundingClientRect().bottom - CONTROLS_PX
}

/** Stops what plays in the slide. With `forGood`, the browser also ends its requests. */
export function silence(slide: Element | undefined, forGood: boolean): void {
  for (const media of slide?.querySelectorAll<HTMLMediaElement>('video, audio') ?? []) {
    media.pause()
    if (!forGood) continue
    media.removeAttribute('src')
    media.load()
  }
}

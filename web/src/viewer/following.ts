/** Keeps the slides as the files are: one is changed, removed, or brought back. */
import type { StoredFile } from '@minikeepsafe/client'
import type PhotoSwipe from 'photoswipe'
import { shownTime } from '../state/files.ts'
import { refresh } from './open-ended.ts'
import type { Strip } from './strip.ts'

export function openFollowing(pswp: PhotoSwipe, strip: Strip, { onChanged }: { onChanged: () => void }) {
  return { begin, forget, change }

  /** Shows the file, between the neighbours that it has now. */
  function begin(file: StoredFile): void {
    const isShown = strip.at(pswp.currIndex)?.id === file.id
    strip.begin(pswp.currIndex, file)
    for (const place of isShown ? [-1, 1] : [0, -1, 1]) refresh(pswp, pswp.currIndex + place)
    pswp.dispatch('change')
  }

  function forget(id: string): void {
    const index = strip.indexOf(id)
    if (index === undefined) return
    const { currIndex } = pswp
    const shown = index === currIndex ? (strip.at(index + 1) ?? strip.at(index - 1)) : strip.at(currIndex)
    if (shown) begin(shown)
    else pswp.close()
  }

  function change(file: StoredFile): void {
    const index = strip.indexOf(file.id)
    const known = index === undefined ? undefined : strip.at(index)
    if (index === undefined || !known) return
    strip.update(file)
    const content = pswp.contentLoader.getContentByIndex(index)
    if (known.sha256 !== file.sha256) refresh(pswp, index)
    // The picture stays as it is; only what is said about it changes.
    else if (content) Object.assign(content.data, { file, alt: file.name })
    if (index === pswp.currIndex && shownTime(known) !== shownTime(file)) begin(file)
    onChanged()
  }
}

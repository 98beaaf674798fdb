/** The files around one, in the order of the gallery. Months that are not loaded are read for it. */
import type { StoredFile } from '@minikeepsafe/client'
import { kindOf } from '../state/files.ts'
import type { Neighbours } from '../viewer/open-viewer.ts'
import { order, sections } from './lists.ts'
import { hold } from './reading.ts'

/** Only what the viewer can show. */
export const isShown = (file: StoredFile) => kindOf(file) !== 'other'

export const neighbours: Neighbours = {
  before: (file) => neighbour(file, -1),
  after: (file) => neighbour(file, 1),
}

async function neighbour(file: StoredFile, step: 1 | -1): Promise<StoredFile | null> {
  const { placeOf, isBefore, monthOf } = order.peek()
  const place = placeOf(file)
  const keys = sections.peek().map(({ key }) => key)
  const holder = sections.peek().findIndex(({ files }) => files?.some(({ id }) => id === file.id))
  const byPlace = sections
    .peek()
    .findIndex((one) => one.month === monthOf(file) && !(one.until && isBefore(one.until, place)))
  for (let at = Math.max(holder, byPlace); at >= 0 && at < keys.length; at += step) {
    const { files, release } = await hold(keys[at] as string)
    release()
    const shown = (files ?? []).filter(isShown)
    const found =
      step === 1
        ? shown.find((other) => isBefore(place, placeOf(other)))
        : shown.findLast((other) => isBefore(placeOf(other), place))
    if (found) return found
  }
  return null
}

import type { StoredFile } from '@minikeepsafe/client'
import { notify } from '../state/notices.ts'
import { t } from '../words/words.ts'

/** The files around the one that is shown, in the order of the screen that opened the viewer. */
export interface Neighbours {
  before(file: StoredFile): Promise<StoredFile | null>
  after(file: StoredFile): Promise<StoredFile | null>
}

let isOpening = false

/** Shows a picture, a video or sound on the whole page. The browser's back button closes it. */
export async function openViewer(file: StoredFile, neighbours: Neighbours): Promise<void> {
  if (isOpening) return
  isOpening = true
  try {
    const loaded = await import('./show.ts').catch(() => null)
    // The connection broke, or the server has a newer page.
    if (loaded === null) notify(t.value.common.notReachable, { isError: true })
    else await loaded.show(file, neighbours)
  } finally {
    isOpening = false
  }
}

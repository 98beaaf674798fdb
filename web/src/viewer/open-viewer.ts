import type { StoredFile } from '@minikeepsafe/client'

/** The files around the one that is shown, in the order of the screen that opened the viewer. */
export interface Neighbours {
  before(file: StoredFile): Promise<StoredFile | null>
  after(file: StoredFile): Promise<StoredFile | null>
}

/** Shows a picture or video on the whole page. The browser's back button closes it. */
export async function openViewer(_file: StoredFile, _neighbours: Neighbours): Promise<void> {}

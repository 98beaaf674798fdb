/** The small part of uploading that is there from the start: the queue and its panel are loaded with the first files. */
import { signal } from '@preact/signals'
import type { ComponentType } from 'preact'
import { notify } from '../state/notices.ts'
import { t } from '../words/words.ts'
import type { Chosen } from './sources.ts'

/** The panel, once it is loaded. */
export const Loaded = signal<ComponentType | null>(null)

export async function loadUploads(): Promise<typeof import('./queue.ts')> {
  const [queue, { Panel }] = await Promise.all([import('./queue.ts'), import('./upload-panel.tsx')])
  Loaded.value = Panel
  return queue
}

export async function add(files: readonly (File | Chosen)[]): Promise<void> {
  if (files.length === 0) return
  try {
    ;(await loadUploads()).addFiles(files)
  } catch {
    // The connection broke before the page was complete.
    notify(t.value.common.notReachable, { isError: true })
  }
}

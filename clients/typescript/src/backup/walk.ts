/** Finds the files of a folder and its subfolders. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'

export interface Found {
  /** To open it. */
  path: string
  /** Relative to the folder, with `/`. */
  relative: string
}

/** In the order of their names. Links are not followed. `onUnreadable` gets folders that cannot be read. */
export async function* filesIn(
  folder: string,
  { hidden, onUnreadable }: { hidden: boolean; onUnreadable: (relative: string, error: unknown) => void },
  relative = '',
): AsyncGenerator<Found> {
  const entries = await readdir(join(folder, relative), { withFileTypes: true }).catch((error) => {
    onUnreadable(relative || '.', error)
    return []
  })
  entries.sort((a, b) => (a.name < b.name ? -1 : 1))
  for (const entry of entries) {
    if (!hidden && entry.name.startsWith('.')) continue
    const path = relative === '' ? entry.name : `${relative}/${entry.name}`
    if (entry.isDirectory()) yield* filesIn(folder, { hidden, onUnreadable }, path)
    else if (entry.isFile()) yield { path: join(folder, path), relative: path }
  }
}

/** Where files come from: pickers, drops, pastes and folders. */

export interface Chosen {
  file: File
  /** With its folders, if it comes from one. */
  path: string
}

/** Systems put these into every folder. */
const JUNK = /(?:^|\/)(?:\.DS_Store|Thumbs\.db|desktop\.ini)$/i

/** Of an `<input type="file">`, also of one for a folder. */
export function ofPicker(input: HTMLInputElement): Chosen[] {
  const files = [...(input.files ?? [])].map((file) => ({ file, path: file.webkitRelativePath || file.name }))
  // The same files can be chosen again.
  input.value = ''
  return withoutJunk(files)
}

/** What was dropped or pasted, with what is in dropped folders. Call it while the event is handled: afterwards it is empty. */
export async function ofTransfer(transfer: DataTransfer): Promise<Chosen[]> {
  const items = [...transfer.items].filter(({ kind }) => kind === 'file')
  const given = items.map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile())
  const files = await Promise.all(
    given.map(async (one) => {
      if (one instanceof File) return [{ file: one, path: one.name }]
      return one ? filesIn(one) : []
    }),
  )
  return withoutJunk(files.flat())
}

const withoutJunk = (files: Chosen[]) => files.filter(({ path }) => !JUNK.test(path))

async function filesIn(entry: FileSystemEntry): Promise<Chosen[]> {
  if (isFile(entry)) {
    const file = await new Promise<File | null>((resolve) => entry.file(resolve, () => resolve(null)))
    return file ? [{ file, path: entry.fullPath.replace(/^\//, '') }] : []
  }
  const found: Chosen[] = []
  for (const inner of await entriesIn(entry as FileSystemDirectoryEntry)) found.push(...(await filesIn(inner)))
  return found
}

const isFile = (entry: FileSystemEntry): entry is FileSystemFileEntry => entry.isFile

/** The browser gives a hundred at a time, and none at the end. */
async function entriesIn(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader()
  const read = () => new Promise<FileSystemEntry[]>((resolve) => reader.readEntries(resolve, () => resolve([])))
  const found: FileSystemEntry[] = []
  for (let some = await read(); some.length > 0; some = await read()) found.push(...some)
  return found
}

/** The files that stand in for a taken name: `IMG_1 (1).jpg` and so on. */
import type { FileQuery, FileRepository, SealedFile } from '../ports.ts'
import { numberedName, numberedPrefix, numberIn } from './names.ts'

const PAGE = 1000

/** Each numbered file of the name, with its number. */
export async function* standIns(
  files: FileRepository,
  owner: string,
  name: string,
): AsyncGenerator<{ n: number; row: SealedFile }> {
  const prefix = numberedPrefix(name)
  let after: FileQuery['after'] = null
  for (;;) {
    const page: SealedFile[] = await files.list(owner, { prefix, sort: 'name', order: 'asc', after, limit: PAGE })
    for (const row of page) {
      const n = numberIn(name, row.name)
      if (n !== null) yield { n, row }
    }
    const last = page.at(-1)
    if (!last || page.length < PAGE) return
    after = { key: last.name, id: last.id }
  }
}

/** The first numbered name that is not used. */
export function firstFree(name: string, used: Set<number>): string {
  let n = 1
  while (used.has(n)) n += 1
  return numberedName(name, n)
}

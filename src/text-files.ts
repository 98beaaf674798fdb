/** Reads the files that an operator writes. */
import { readFileSync } from 'node:fs'

/** The UTF-8 text of a file, without a byte order mark. Throws for UTF-16, which would be read as other text. */
export function readTextFile(path: string): string {
  const bytes = readFileSync(path)
  const mark = bytes.toString('latin1', 0, 2)
  // PowerShell 5 writes UTF-16 with `>`.
  if (mark === '\xff\xfe' || mark === '\xfe\xff') throw new Error('it is in UTF-16, and must be in UTF-8')
  if (bytes.includes(0)) throw new Error('it has NUL bytes, as UTF-16 has, and must be in UTF-8')
  return bytes.toString().replace(/^\ufeff/, '')
}

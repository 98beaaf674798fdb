/** The built files of the web vault: their paths, how long each may be cached, and the entity tags of their codings. */
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { extname, join, relative, sep } from 'node:path'
import { contentType } from 'mime-types'
import type { Coding } from './content-codings.ts'

export interface WebFile {
  /** The path of its URL. */
  path: string
  contentType: string
  cacheControl: string
  /** The codings of its content, in the order of preference. */
  variants: [...Variant[], Variant]
}

export interface Variant {
  coding: Coding
  /** Where it is on the disk. */
  file: string
  sizeBytes: number
  /** The same bytes have the same tag, on every server. */
  tag: string
}

/** No segment begins with a dot. The router would give `:` and `*` a meaning. */
const SERVED = /^(?:[\w-][\w.-]*\/)*[\w-][\w.-]*$/
const SOURCE_MAP = /\.map$/

/** The build writes these beside a file that they make smaller. */
const CODED: [extension: string, coding: Coding][] = [
  ['.br', 'br'],
  ['.gz', 'gzip'],
]

/** Must be asked for again at each use: they name all other files. */
const REVALIDATED = ['index.html', 'sw.js']
/** Their names contain a hash of their content. */
const IMMUTABLE = /^assets\//

/** None if there is no such folder. */
export async function webFilesIn(folder: string): Promise<WebFile[]> {
  const names = await namesIn(folder)
  const coded = names.filter((name) => CODED.some(([extension]) => name.endsWith(extension)))
  const plain = names.filter((name) => !coded.includes(name) && SERVED.test(name) && !SOURCE_MAP.test(name))
  return Promise.all(
    plain.map(async (name) => {
      const smaller = CODED.filter(([extension]) => coded.includes(name + extension))
      const variants = smaller.map(([extension, coding]) => variant(join(folder, name + extension), coding))
      return {
        path: name === 'index.html' ? '/' : `/${name}`,
        contentType: contentType(extname(name)) || 'application/octet-stream',
        cacheControl: cacheControlOf(name),
        variants: [...(await Promise.all(variants)), await variant(join(folder, name), 'identity')],
      }
    }),
  )
}

function cacheControlOf(name: string): string {
  if (REVALIDATED.includes(name)) return 'no-cache'
  return IMMUTABLE.test(name) ? 'public, max-age=31536000, immutable' : 'public, max-age=86400'
}

async function variant(file: string, coding: Coding): Promise<Variant> {
  const bytes = await readFile(file)
  return { coding, file, sizeBytes: bytes.length, tag: createHash('sha256').update(bytes).digest('base64url') }
}

/** The names of the regular files; links are none. */
async function namesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch((error) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  return entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => relative(folder, join(parentPath, name)).replaceAll(sep, '/'))
}

/** The built files of the web vault: their paths, how long each may be cached, and their contents in each coding. */
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import type { Coding } from './content-codings.ts'

export interface WebFile {
  /** Relative to the folder. */
  name: string
  /** The path of its URL. */
  path: string
  cacheControl: string
  /** The codings of its content, in the order of preference. */
  variants: [...Variant[], Variant]
}

interface Variant {
  coding: Coding
  /** Read from the disk at the first call, and kept. Throws if the file is gone by then. */
  content(): Promise<Content>
}

interface Content {
  bytes: Buffer
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
  return plain.map((name) => {
    const smaller = CODED.filter(([extension]) => coded.includes(name + extension))
    const variants = smaller.map(([extension, coding]) => variant(join(folder, name + extension), coding))
    return {
      name,
      path: name === 'index.html' ? '/' : `/${name}`,
      cacheControl: cacheControlOf(name),
      variants: [...variants, variant(join(folder, name), 'identity')],
    }
  })
}

function cacheControlOf(name: string): string {
  if (REVALIDATED.includes(name)) return 'no-cache'
  return IMMUTABLE.test(name) ? 'public, max-age=31536000, immutable' : 'public, max-age=86400'
}

function variant(file: string, coding: Coding): Variant {
  let kept: Promise<Content> | null = null
  return {
    coding,
    content() {
      kept ??= contentOf(file).catch((error) => {
        kept = null
        throw error
      })
      return kept
    },
  }
}

async function contentOf(file: string): Promise<Content> {
  const bytes = await readFile(file)
  return { bytes, tag: createHash('sha256').update(bytes).digest('base64url') }
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

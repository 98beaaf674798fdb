/** Runs the code of pages of documentation. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { transform } from 'esbuild'
import * as client from '../src/node.ts'

const root = join(import.meta.dirname, '../../..')

/** The blocks of a page in these languages, in order. */
export async function blocksOf(page: string, ...languages: string[]): Promise<{ language: string; text: string }[]> {
  const text = await readFile(join(root, page), 'utf8')
  return [...text.matchAll(/^```(\w+)\n(.*?)^```$/gms)].flatMap(([, language = '', text = '']) =>
    languages.includes(language) ? [{ language, text }] : [],
  )
}

/** Runs blocks of TypeScript as one program. `given` are names that the reader's app has. Returns the names in `wanted`. */
export async function run(blocks: string[], given: Record<string, unknown>, wanted: string[] = []): Promise<unknown[]> {
  const { code } = await transform(blocks.join('\n').replace(/^import .*$/gm, ''), { loader: 'ts', target: 'es2022' })
  const names = { ...client, ...given }
  const Program = Object.getPrototypeOf(async () => {}).constructor
  return new Program(...Object.keys(names), `${code}\nreturn [${wanted.join(', ')}]`)(...Object.values(names))
}

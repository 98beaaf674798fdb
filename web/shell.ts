/** Tells the service worker which files the page consists of. */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Plugin } from 'vite'

const WORKER = 'sw.js'
const PAGE = 'index.html'

export function shell(): Plugin {
  let publicFolder = ''
  return {
    name: 'shell',
    apply: 'build',
    configResolved: ({ publicDir }) => {
      publicFolder = publicDir
    },
    generateBundle: {
      order: 'post',
      handler(_, bundle) {
        const worker = bundle[WORKER]
        if (worker?.type !== 'chunk') throw new Error('there is no service worker')
        if (worker.imports.length > 0) throw new Error('the service worker is a classic script: it cannot import')
        const built = Object.values(bundle).filter(({ fileName }) => fileName.startsWith('assets/'))
        const others = readdirSync(publicFolder).sort()
        const hash = createHash('sha256').update(worker.code)
        for (const { fileName } of built) hash.update(fileName)
        const page = bundle[PAGE]
        if (page?.type === 'asset') hash.update(page.source)
        for (const name of others) hash.update(readFileSync(join(publicFolder, name)))
        const list = {
          version: hash.digest('hex').slice(0, 12),
          page: '/',
          assets: built.map(({ fileName }) => `/${fileName}`).sort(),
          others: others.map((name) => `/${name}`),
        }
        worker.code = worker.code.replaceAll('__SHELL__', JSON.stringify(list))
      },
    },
  }
}

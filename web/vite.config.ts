import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vite'
import { shell } from './shell.ts'

export default defineConfig({
  root: import.meta.dirname,
  plugins: [shell()],
  // The client's sources: no build of it is needed first.
  resolve: {
    // Another package brings an older one to the folder above.
    dedupe: ['preact'],
    alias: { '@minikeepsafe/client': fileURLToPath(new URL('../clients/typescript/src/index.ts', import.meta.url)) },
  },
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    target: 'es2022',
    manifest: true,
    // The policy of the page allows no inline script, no inline style and no data: URL.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rollupOptions: {
      input: { index: 'index.html', sw: 'src/sw.ts' },
      output: {
        // The browser looks for a service worker always at the same address.
        entryFileNames: ({ name }) => (name === 'sw' ? 'sw.js' : 'assets/[name]-[hash].js'),
        // One file with all that the page needs first: on a phone each round of requests takes a sixth of a second.
        codeSplitting: { groups: [{ name: 'first', tags: ['$initial'], test: (id) => !id.endsWith('sw.ts') }] },
      },
    },
  },
  // `npm run dev -w @minikeepsafe/web` shows the sources, and a server beside it answers.
  server: { proxy: { '/v1': 'http://127.0.0.1:8000' } },
})

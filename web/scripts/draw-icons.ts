/** Makes the PNG icons from `public/icon.svg`, with Chromium: `npx tsx web/scripts/draw-icons.ts`. Run it when the drawing changes. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { launch } from '../../test/support/browser.ts'

const PUBLIC = join(import.meta.dirname, '..', 'public')
const ICONS = [
  { name: 'icon-192.png', size: 192, isMaskable: false },
  { name: 'icon-512.png', size: 512, isMaskable: false },
  // A system cuts its own shape out of the inner 80 %, so the ground fills the whole square.
  { name: 'icon-maskable-512.png', size: 512, isMaskable: true },
]

const svg = await readFile(join(PUBLIC, 'icon.svg'), 'utf8')
const ground = /<rect[^>]*fill="(#\w+)"/.exec(svg)?.[1] ?? '#000'
const browser = await launch()
for (const { name, size, isMaskable } of ICONS) {
  const page = await browser.newPage({ viewport: { width: size, height: size } })
  const drawing = isMaskable ? '84%' : '100%'
  await page.setContent(`<style>
    body { margin: 0; display: grid; place-content: center; height: 100vh; ${isMaskable ? `background: ${ground}` : ''} }
    svg { display: block; width: calc(${size}px * ${Number.parseInt(drawing, 10) / 100}) }
  </style>${svg}`)
  await writeFile(join(PUBLIC, name), await page.screenshot({ omitBackground: true }))
  await page.close()
}
await browser.close()

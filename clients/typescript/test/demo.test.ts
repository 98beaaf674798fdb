/** Runs `npm run demo`. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import jpeg from 'jpeg-js'
import { expect, it } from 'vitest'
import { testApp } from '../../../test/support/app.ts'
import { picture } from '../demo/pictures.ts'
import { createClient } from '../src/node.ts'
import { all } from './support.ts'

it('a picture is a JPEG with the date of a camera', () => {
  const { jpeg: bytes, thumbnail } = picture(7, '2026-07-14T12:00:00+02:00')
  expect(jpeg.decode(bytes)).toMatchObject({ width: 320, height: 240 })
  expect(jpeg.decode(thumbnail)).toMatchObject({ width: 100, height: 75 })
  const tags = exifIn(bytes)
  expect(tags).toEqual({ 36867: '2026:07:14 12:00:00', 36881: '+02:00' })
  expect(picture(7, '2026-07-14T12:00:00+02:00').jpeg.equals(bytes)).toBe(true)
  expect(picture(8, '2026-07-14T12:00:00+02:00').jpeg.equals(bytes)).toBe(false)
})

it('the demo fills a vault and says how to sign in', async () => {
  const { url } = await testApp()
  const demo = join(import.meta.dirname, '../demo/demo.ts')
  const env = { PATH: process.env.PATH, DEMO_PHOTOS: '5' }
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', demo, url], { env })

  const client = createClient({ baseUrl: url })
  await client.signInWithPairing(/\S+#pair=\S+/.exec(stdout)?.[0] ?? '')
  const files = await all(client.list({ sort: 'takenAt' }))
  expect(files.map(({ contentType }) => contentType)).toEqual(Array(5).fill('image/jpeg'))
  expect(new Set(files.map(({ takenAt }) => takenAt?.slice(0, 7))).size).toBe(5)
})

/** The texts of the Exif IFD, by tag. */
function exifIn(bytes: Buffer): Record<number, string> {
  const start = bytes.indexOf('Exif\0\0', 0, 'latin1') + 6
  const tiff = bytes.subarray(start)
  const at = tiff.readUInt32LE(tiff.readUInt32LE(4) + 2 + 8)
  return Object.fromEntries(
    Array.from({ length: tiff.readUInt16LE(at) }, (_, i) => {
      const entry = at + 2 + i * 12
      const [from, count] = [tiff.readUInt32LE(entry + 8), tiff.readUInt32LE(entry + 4)]
      return [tiff.readUInt16LE(entry), tiff.subarray(from, from + count - 1).toString('latin1')]
    }),
  )
}

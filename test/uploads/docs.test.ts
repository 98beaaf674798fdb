/** The lines of docs/uploads.md, as somebody types them. */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { member, temporaryFolder, testApp } from '../support/app.ts'
import { describeWithProgram } from '../support/programs.ts'

const run = promisify(execFile)

describeWithProgram('curl', 'curl')('the lines of docs/uploads.md', () => {
  it.each([
    ['tus', 'Tus-Resumable', 'my film.mp4'],
    ['the draft', 'Upload-Complete', 'film.mp4'],
  ])('resume an upload with %s after its connection broke', async (_protocol, header, name) => {
    const app = await testApp()
    const ada = await member(app)
    const folder = await temporaryFolder()
    const film = randomBytes(2_000_000)
    await writeFile(join(folder, 'film.mp4'), film)
    const env = { PATH: process.env.PATH, URL: app.url, TOKEN: ada.token }
    const lines = `${await block(header)}\necho "offset $OFFSET"`
    const { stdout, stderr } = await run('bash', ['-c', lines], { cwd: folder, env })

    expect(stderr).toContain('curl: (28)')
    const offset = Number(/offset (\d+)/.exec(stdout)?.[1])
    expect([offset > 0, offset < film.length]).toEqual([true, true])
    const { headers, bytes } = await ada.get(name)
    expect([headers['content-type'], bytes.equals(film)]).toEqual(['video/mp4', true])
  })
})

it.each<[what: string, retried: boolean, response: [status: number, code: string] | null]>([
  ['a lost connection', true, null],
  ['a fault of the server', true, [503, 'not-ready']],
  ['another offset', true, [409, 'mismatching-upload-offset']],
  ['an append elsewhere', true, [409, 'upload-in-use']],
  ['a taken name', false, [409, 'file-exists']],
  ['a name that cannot be used', false, [400, 'invalid-name']],
])('the line for tus-js-client retries after %s: %s', async (_what, retried, response) => {
  const { onShouldRetry } = new Function(`return { ${await block('onShouldRetry', 'js')} }`)()
  const [status, code] = response ?? []
  const originalResponse = response && { getStatus: () => status, getBody: () => JSON.stringify({ code }) }
  expect(onShouldRetry({ originalResponse })).toBe(retried)
})

async function block(text: string, language = 'sh'): Promise<string> {
  const page = await readFile(join(import.meta.dirname, '../../docs/uploads.md'), 'utf8')
  const blocks = [...page.matchAll(/^```(\w+)\n(.*?)^```$/gms)].flatMap(([, of, lines = '']) =>
    of === language ? [lines] : [],
  )
  return blocks.find((lines) => lines.includes(text)) ?? ''
}

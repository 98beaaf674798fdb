import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { temporaryFolder, testApp } from '../support/app.ts'
import { describeWithProgram } from '../support/programs.ts'

const run = promisify(execFile)

it('takes a photo in and hands it out in four steps', async () => {
  const app = await testApp()
  const deviceId = 'ios-6f1c2b9a4d8e4f7a'
  const photo = Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 1, 2, 3])

  const registered = await app.post('/v1/users', { name: 'Ada', email: 'ada@example.org', deviceId })
  const { pin } = registered.body as { pin: string }
  const signedIn = await app.post('/v1/sessions', { deviceId, pin })
  const headers = { authorization: `Bearer ${(signedIn.body as { token: string }).token}` }
  await app.request('/v1/files/beach.jpg', { method: 'PUT', headers, body: photo })
  const download = await app.request('/v1/files/beach.jpg', { headers })

  expect([registered.status, signedIn.status, download.status]).toEqual([201, 201, 200])
  expect(download.bytes).toEqual(photo)
})

describeWithProgram('curl', 'curl')('the lines of the README', () => {
  it('say the second time what is wrong, each error on a line of its own, and go on with the first token', async () => {
    const { story, folder } = await scene()

    const { stdout, stderr } = await run('bash', ['-c', `${story}\necho again\n${story}`], { cwd: folder })
    const [first, second] = stdout.split('again\n')
    expect(JSON.parse(first as string)).toMatchObject({ name: 'beach.jpg', size: 4 })
    expect(second).toBe(first)
    expect(await readFile(join(folder, 'beach-again.jpg'), 'utf8')).toBe('sand')
    expect(stderr.trim().split('\n').sort()).toEqual([
      expect.stringMatching(/^curl: \(22\) .* 409$/),
      expect.stringMatching(/^\{.*"code":"email-taken".*\}$/),
    ])
  })

  it('say without a token that there is none', async () => {
    const { story, folder } = await scene()
    await run('bash', ['-c', story], { cwd: folder })

    const again = await run('bash', ['-c', `${story}\ntrue`], { cwd: folder })
    expect(again.stdout).toMatch(/^\{.*"code":"unauthorized".*\}\n$/)
    expect(again.stderr).toContain('"email-taken"')
    expect(again.stderr).not.toContain('invalid-request')
  })
})

/** The lines for a new server, and a folder with a photo. */
async function scene() {
  const app = await testApp()
  const folder = await temporaryFolder()
  await writeFile(join(folder, 'beach.jpg'), 'sand')
  const { stdout } = await run('.ci/readme', ['story'])
  return { story: stdout.replaceAll('http://127.0.0.1:8000', app.url), folder }
}

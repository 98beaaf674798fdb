import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { temporaryFolder } from '../support/app.ts'
import { spoil } from '../support/blobs.ts'
import { command, serverProcess, signedIn } from '../support/process.ts'

it('reads a small vault back, logs a damaged blob, and goes on', async () => {
  const folder = await temporaryFolder()
  const settings = { SCRUB_DAYS: '0.00002' }
  const server = serverProcess(folder, settings)
  const headers = await signedIn(server)
  const put = (name: string) => server.request(`/v1/files/${name}`, { method: 'PUT', headers, body: name })
  const { id } = (await put('bad')).body as { id: string }
  const uploads = join(folder, 'uploads')
  const [blob] = (await readdir(uploads, { recursive: true })).filter((path) => path.includes('/'))
  await spoil(join(uploads, blob as string), (bytes) => bytes.fill(0, 50))
  for (const name of ['good', 'better']) await put(name)

  await expect.poll(server.output, { timeout: 20_000 }).toContain(`file ${id} is damaged: its blob does not open`)
  expect(server.output()).toContain(`(blob ${blob})`)
  const readBack = async () => (await command(folder, ['stats'], settings)).report.readBack
  await expect
    .poll(readBack, { timeout: 20_000, interval: 500 })
    .toEqual({ never: 0, failed: 1, oldestAt: expect.any(Number) })
  const { events } = (await server.request('/v1/activity', { headers })).body as { events: { kind: string }[] }
  expect(events.filter(({ kind }) => kind === 'damaged-read')).toHaveLength(1)
  expect(await server.stop('SIGTERM')).toBe(0)
  expect((await command(folder, ['verify'])).report.damaged).toEqual([
    { file: id, blob, why: 'its blob does not open' },
  ])
})

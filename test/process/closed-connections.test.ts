/** Connections that are closed while requests wait on them. */
import { expect, it } from 'vitest'
import { temporaryFolder } from '../support/app.ts'
import { serverProcess } from '../support/process.ts'
import { head, wire } from '../support/wire.ts'

const AT_ONCE = 50
const ROUNDS = 20

it('leave no heads of requests in the memory', async () => {
  // The heads are 100 MiB together.
  const server = serverProcess(await temporaryFolder(), { NODE_OPTIONS: '--max-old-space-size=100' })
  const url = await server.url
  // The refusal leaves a body unread, so it closes the connection, and the other requests never begin.
  const refused = `${head('POST /nowhere', { 'content-length': '1', 'x-long': 'x'.repeat(14_000) })}x`.repeat(8)
  for (let round = 0; round < ROUNDS; round += 1) {
    const lines = Array.from({ length: AT_ONCE }, () => wire(url))
    for (const { socket } of lines) socket.write(refused)
    await Promise.all(lines.map(({ ended }) => ended))
  }
  expect((await server.request('/health/live')).status).toBe(200)
})

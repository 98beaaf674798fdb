/** Real servers for the adapters of engines that are not embedded; `.ci/servers start` prints the variables that name them. */
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { describe } from 'vitest'

/**
 * `describe` for what needs servers, which the variables name. Without them the tests are left out where somebody tries the
 * project on a bare machine, in one line that says so; where CI runs them, the file fails.
 */
export function describeWith(engine: string, ...variables: string[]): typeof describe | typeof describe.skip {
  const missing = variables.find((variable) => !process.env[variable])
  if (missing === undefined) return describe
  const leftOut = `the tests with ${engine} are left out: ${missing} names no server (see .ci/servers)`
  if (process.env.CI) throw new Error(leftOut)
  process.stderr.write(`${leftOut}\n`)
  return describe.skip
}

/** For a server of a test's own. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

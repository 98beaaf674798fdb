/** Tests with real engines. `.ci/servers start` starts them and prints the variables that name them. */
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { describe } from 'vitest'

/**
 * `describe` for tests that need servers, which the variables name. Without the variables the tests are skipped, with one line
 * that says so. In CI the file fails.
 */
export function describeWith(engine: string, ...variables: string[]): typeof describe | typeof describe.skip {
  const missing = variables.find((variable) => !process.env[variable])
  if (missing === undefined) return describe
  const skipped = `the tests with ${engine} are skipped: ${missing} is not set (see .ci/servers)`
  if (process.env.CI) throw new Error(skipped)
  process.stderr.write(`${skipped}\n`)
  return describe.skip
}

/** A free port for a server of the test. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Tests with real engines. `.ci/servers start` starts them and prints the variables that name them. */
import { once } from 'node:events'
import { createServer } from 'node:net'
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

/** Each test worker has this many ports of its own. */
const PORTS_PER_WORKER = 500
let nextPort = 12_000 + PORTS_PER_WORKER * (Number(process.env.VITEST_POOL_ID ?? 0) % 40)

/**
 * A free port for a server that the test starts later. It is outside the range from which the system takes the ports
 * of outgoing connections, and no other worker gets it, so nothing takes it in between.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = nextPort
    nextPort += 1
    const server = createServer().listen(port, '127.0.0.1')
    const free = await once(server, 'listening').then(
      () => true,
      () => false,
    )
    if (!free) continue
    server.close()
    await once(server, 'close')
    return port
  }
}

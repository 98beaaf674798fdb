/** Ports that servers and proxies keep while they are down, beside other tests on the same machine. */
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'

/**
 * Below those of `engines.ts`, and of the system, which takes any of its own for an outgoing connection. `fetch` refuses 10080
 * (Fetch Standard, "bad port").
 */
const [FROM, TO] = [10_081, 13_000]

export async function lastingPort(): Promise<number> {
  for (;;) {
    const port = randomInt(FROM, TO)
    const server = createServer().listen(port, '127.0.0.1')
    const isFree = await once(server, 'listening').then(
      () => true,
      () => false,
    )
    if (!isFree) continue
    server.close()
    await once(server, 'close')
    return port
  }
}

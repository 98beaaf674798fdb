/** Many parallel requests by wrk, which uses little CPU of the shared cores: the server is the limit, not the client. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const CONNECTIONS = 64
const run = promisify(execFile)

/** Requests per second. Throws if a response is not a 2xx. `script` is `-s` and the file of a Lua script. */
export async function rateByWrk(
  url: string,
  authorization: string,
  seconds: number,
  script: readonly string[] = [],
): Promise<number> {
  const header = `authorization: ${authorization}`
  const args = ['-t1', `-c${CONNECTIONS}`, `-d${seconds}s`, '--timeout', '10s', '-H', header, ...script, url]
  const { stdout } = await run('wrk', args)
  if (/Non-2xx|Socket errors/.test(stdout)) throw new Error(`wrk at ${url}: ${stdout}`)
  return Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1])
}

/**
 * Somebody else's client: asks for its own account, over and over, and tells when asked what it waited for at the most. Hears
 * of a server, asks it from then on, and drops what it has noticed so far. Argument: its token.
 */
import { Agent, get } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { mainThreadMs } from './servers.ts'

export interface Waited {
  /** The longest wait for an answer. */
  longestMs: number
  /** The most that the server's main thread did in the time of one wait: what is not the noise of a busy machine. */
  busiestMs: number
}

export interface Target {
  port: number
  pid: number
}

const [authorization = ''] = process.argv.slice(2)
const agent = new Agent({ keepAlive: true, maxSockets: 1 })
let target: Target | null = null
let waited: Waited = { longestMs: 0, busiestMs: 0 }

process.on('message', (message: Target | null | 'waited') => {
  if (message === 'waited') process.send?.(waited)
  else target = message
  waited = { longestMs: 0, busiestMs: 0 }
})
process.on('disconnect', () => process.exit())

for (;;) {
  const asked = current()
  const [began, busy] = [performance.now(), asked ? mainThreadMs(asked.pid) : 0]
  // One that stops answers no more.
  const answered = asked !== null && (await ask(asked.port).catch(() => false))
  if (answered && asked === current()) {
    waited.longestMs = Math.max(waited.longestMs, performance.now() - began)
    waited.busiestMs = Math.max(waited.busiestMs, mainThreadMs(asked.pid) - busy)
  }
  await sleep(1)
}

/** It changes meanwhile. */
function current(): Target | null {
  return target
}

function ask(port: number): Promise<boolean> {
  return new Promise((resolve, reject) => {
    get({ agent, port, host: '127.0.0.1', path: '/v1/me', headers: { authorization } }, (answer) => {
      answer.resume().once('end', () => resolve(answer.statusCode === 200))
    }).once('error', reject)
  })
}

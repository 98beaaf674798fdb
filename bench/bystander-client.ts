/**
 * The client of another user. It requests its own account in a loop, and reports its longest wait on request. A message with a
 * server changes its target and resets its measurements. Argument: its token.
 */
import { Agent, get } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { mainThreadMs } from './servers.ts'

export interface Waited {
  /** The longest wait for a response. */
  longestMs: number
  /** The highest CPU time of the server's main thread during one wait. Unlike the wait, it has no noise of a busy machine. */
  busiestMs: number
}

export interface Target {
  port: number
  pid: number
  /** Each request has a connection of its own. */
  isNewEachTime?: boolean
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
  // A stopping server does not answer any more.
  const answered = asked !== null && (await ask(asked).catch(() => false))
  if (answered && asked === current()) {
    waited.longestMs = Math.max(waited.longestMs, performance.now() - began)
    waited.busiestMs = Math.max(waited.busiestMs, mainThreadMs(asked.pid) - busy)
  }
  await sleep(1)
}

/** Read again each time, because a message may change it. */
function current(): Target | null {
  return target
}

function ask({ port, isNewEachTime = false }: Target): Promise<boolean> {
  const options = { agent: isNewEachTime ? (false as const) : agent, localAddress: '127.0.0.1' }
  return new Promise((resolve, reject) => {
    get({ ...options, port, host: '127.0.0.1', path: '/v1/me', headers: { authorization } }, (answer) => {
      answer.resume().once('end', () => resolve(answer.statusCode === 200))
    }).once('error', reject)
  })
}

/**
 * Refuses new uploads and appends while the event loop falls behind. They cost the most, and their clients can wait and send them
 * again. So reads, and requests that have begun, do not become slow.
 */
import fastifyPlugin from 'fastify-plugin'
import { problems } from '../problems.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The request brings bytes of a file. */
    takesBytes?: true
  }
}

export interface OverloadRules {
  /** How often the delay of the event loop is measured. */
  everyMs: number
  /** A timer is late if its delay is longer than this. */
  lateMs: number
  /** A late timer adds one, a punctual one subtracts one. At `times` uploads are refused; at 0 they are accepted again. */
  times: number
}

/** Returns whether the event loop is behind, from its delay. One long pause is one late timer, so it refuses nothing. */
export function overloadCheck({ lateMs, times }: OverloadRules) {
  let late = 0
  let isBehind = false
  return (delayMs: number): boolean => {
    late = delayMs > lateMs ? Math.min(times, late + 1) : Math.max(0, late - 1)
    if (late === times) isBehind = true
    if (late === 0) isBehind = false
    return isBehind
  }
}

export const overload = fastifyPlugin<OverloadRules>(async function overload(app, rules) {
  const check = overloadCheck(rules)
  let isBehind = false
  let measuredAt = performance.now()
  const timer = setInterval(() => {
    const now = performance.now()
    const wasBehind = isBehind
    isBehind = check(now - measuredAt - rules.everyMs)
    measuredAt = now
    if (isBehind && !wasBehind) app.log.warn('the event loop falls behind: new uploads and appends are refused')
    else if (wasBehind && !isBehind) app.log.info('new uploads and appends are accepted again')
  }, rules.everyMs)
  app.addHook('onClose', async () => clearInterval(timer))

  app.addHook('onRequest', (request, _reply, done) => {
    if (!isBehind || !request.routeOptions.config.takesBytes) return done()
    const cause = Object.assign(new Error('the event loop falls behind'), { logged: true })
    done(problems.notReady('The server is too busy for uploads. Nothing was changed.', cause))
  })
})

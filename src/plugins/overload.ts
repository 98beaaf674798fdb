/**
 * Refuses new uploads while the event loop or the disk falls behind. They cost the most, and their clients can wait and send them
 * again. So reads, and uploads that have begun, do not become slow.
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
  /** A timer that is later than this is a late one. */
  lateMs: number
  /** After so many late timers more than punctual ones, uploads are refused. After as many punctual ones they are accepted again. */
  times: number
  /** Uploads are also refused while a write of the disk takes longer than this. */
  writeMs: number
}

/** Measures: returns what falls behind, or `null`. One long pause is one late timer, so it refuses nobody. */
export function overloadCheck({ lateMs, times, writeMs }: OverloadRules) {
  let late = 0
  let isLate = false
  return (delayMs: number, writesWaitMs: number): 'the event loop' | 'the disk' | null => {
    late = delayMs > lateMs ? Math.min(times, late + 1) : Math.max(0, late - 1)
    if (late === times) isLate = true
    if (late === 0) isLate = false
    if (isLate) return 'the event loop'
    return writesWaitMs > writeMs ? 'the disk' : null
  }
}

export const overload = fastifyPlugin<OverloadRules>(async function overload(app, rules) {
  const check = overloadCheck(rules)
  let behind: ReturnType<typeof check> = null
  let measuredAt = performance.now()
  const timer = setInterval(() => {
    const now = performance.now()
    const found = check(now - measuredAt - rules.everyMs, app.vault.writesWaitMs())
    measuredAt = now
    if (found && !behind) app.log.warn(`${found} falls behind: new uploads are refused`)
    else if (behind && !found) app.log.info('new uploads are accepted again')
    behind = found
  }, rules.everyMs)
  app.addHook('onClose', async () => clearInterval(timer))

  app.addHook('onRequest', (request, _reply, done) => {
    if (!behind || !request.routeOptions.config.takesBytes) return done()
    const cause = Object.assign(new Error(`${behind} falls behind`), { logged: true })
    done(problems.notReady('The server is too busy for new uploads. Nothing was changed.', cause))
  })
})

/**
 * Metrics for Prometheus (docs/metrics.md). Labels are route patterns, statuses, codes and other fixed words, and never users,
 * devices, files or addresses. The server's own port does not serve them.
 */
import fastifyPlugin from 'fastify-plugin'
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import { VERSION } from '../../version.ts'
import type { MemoryPool } from '../connections/memory-pool.ts'
import { measureHttp } from './http-metrics.ts'
import { listenForScrapes, type MetricsListener } from './listener.ts'
import type { MetricsRules } from './rules.ts'
import { measureVault } from './vault-metrics.ts'

export const metrics = fastifyPlugin<MetricsRules & { pool: MemoryPool }>(async function metrics(app, rules) {
  const registry = Registry.merge([processMetrics()])
  new Gauge({
    name: 'minikeepsafe_build_info',
    help: 'The version of the server, as a label; the value is 1.',
    labelNames: ['version'],
    registers: [registry],
  }).set({ version: VERSION }, 1)
  measureHttp(app, registry, rules.pool)
  measureVault(app.vault, registry, rules.figuresMs)

  let listener: MetricsListener | null = null
  app.addHook('onReady', async () => {
    listener = await listenForScrapes(registry, rules)
    app.log.info(`metrics at ${listener.url}`)
  })
  app.addHook('onClose', async () => listener?.close())
})

let ofProcess: Registry | null = null

/** They belong to the process, not to an app: observers that they start in Node cannot be stopped. */
function processMetrics(): Registry {
  if (!ofProcess) {
    ofProcess = new Registry()
    collectDefaultMetrics({ register: ofProcess })
  }
  return ofProcess
}

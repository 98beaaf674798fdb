import { performance } from 'node:perf_hooks'

/** The number of the current iteration of the event loop. */
export function iteration(): number {
  const { loopCount } = performance.nodeTiming.uvMetricsInfo
  return loopCount
}

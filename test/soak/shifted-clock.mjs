/**
 * For `node --import`: the clock of a process is later than the machine's by the milliseconds in the file SHIFTED_CLOCK. Timers
 * and `performance` stay as they are.
 */
import { readFileSync } from 'node:fs'

const file = process.env.SHIFTED_CLOCK
const READ_EVERY_MS = 20
const machineNow = Date.now
let offsetMs = 0
let readAt = Number.NEGATIVE_INFINITY

function now() {
  if (performance.now() - readAt > READ_EVERY_MS) {
    readAt = performance.now()
    // Empty while it is being written.
    offsetMs = Number(readFileSync(file, 'utf8')) || offsetMs
  }
  return machineNow() + offsetMs
}

Date.now = now
globalThis.Date = new Proxy(Date, {
  construct: (target, args, newTarget) => Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget),
  apply: (target) => new target(now()).toString(),
})

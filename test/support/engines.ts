/** Real servers for the adapters of engines that are not embedded; `.ci/servers start` prints the variables that name them. */
import { describe } from 'vitest'

/**
 * `describe` for what needs a server, which the variable names. Without it the tests are left out where somebody tries the
 * project on a bare machine, in one line that says so; where CI runs them, the file fails.
 */
export function describeWith(engine: string, variable: string): typeof describe | typeof describe.skip {
  if (process.env[variable]) return describe
  const leftOut = `the tests with ${engine} are left out: ${variable} names no server (see .ci/servers)`
  if (process.env.CI) throw new Error(leftOut)
  process.stderr.write(`${leftOut}\n`)
  return describe.skip
}

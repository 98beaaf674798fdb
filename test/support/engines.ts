/** Real servers for the adapters of engines that are not embedded; `.ci/servers start` prints the variables that name them. */
import { it } from 'vitest'

/**
 * The address of a server for tests, or `null` where the variable names none: then the tests of a file are left out in one
 * line, and fail where CI runs them.
 */
export function engineFor(variable: string, engine: string): string | null {
  const address = process.env[variable]
  if (address) return address
  const why = `the tests with ${engine} are left out: ${variable} names no server`
  it(why, ({ skip }) => {
    if (process.env.CI) throw new Error(why)
    process.stderr.write(`${why}\n`)
    skip()
  })
  return null
}

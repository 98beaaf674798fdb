/** Runs programs of other projects in tests. */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync } from 'node:fs'
import { buffer } from 'node:stream/consumers'
import { describe } from 'vitest'

/**
 * `describe` for tests that need a program or a file of a Debian package. If it is missing, the tests are skipped, with one line
 * that says so. In CI the file fails.
 */
export function describeWithProgram(program: string, debianPackage: string): typeof describe | typeof describe.skip {
  if (isInstalled(program)) return describe
  const skipped = `the tests with ${program} are skipped: it is missing (Debian package ${debianPackage})`
  if (process.env.CI) throw new Error(skipped)
  process.stderr.write(`${skipped}\n`)
  return describe.skip
}

function isInstalled(program: string): boolean {
  try {
    if (program.startsWith('/')) accessSync(program)
    else execFileSync('which', [program], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** Returns the standard output of the program. Throws its output if it fails. */
export async function outputOf(program: string, args: string[], input: Iterable<Buffer> | AsyncIterable<Buffer> = []) {
  const child = spawn(program, args)
  const output = Promise.all([buffer(child.stdout), buffer(child.stderr), once(child, 'close')])
  child.stdin.on('error', () => {})
  for await (const bytes of input) {
    if (child.stdin.destroyed) break
    if (!child.stdin.write(bytes)) await Promise.race([once(child.stdin, 'drain'), output])
  }
  child.stdin.end()
  const [stdout, stderr, [code]] = await output
  if (code !== 0) throw new Error(`${program} ended with ${code}: ${stderr}${stdout}`)
  return stdout
}

/** Programs of other projects that tests need. */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync } from 'node:fs'
import { buffer } from 'node:stream/consumers'
import { describe } from 'vitest'

/**
 * `describe` for what needs a program or a file of a Debian package. Where it is missing, the tests are left out with one
 * line that says so; where CI runs them, the file fails.
 */
export function describeWithProgram(program: string, debianPackage: string): typeof describe | typeof describe.skip {
  if (isHere(program)) return describe
  const leftOut = `the tests with ${program} are left out: it is missing (Debian package ${debianPackage})`
  if (process.env.CI) throw new Error(leftOut)
  process.stderr.write(`${leftOut}\n`)
  return describe.skip
}

function isHere(program: string): boolean {
  try {
    if (program.startsWith('/')) accessSync(program)
    else execFileSync('which', [program], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** What the program writes to its standard output. Throws what it says where it fails. */
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

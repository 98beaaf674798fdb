/** Tests that start processes run what was built: it starts several times faster than its sources. */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

export const setup = () =>
  void execFileSync(process.execPath, [join(import.meta.dirname, '..', '..', 'build.js')], { stdio: 'inherit' })

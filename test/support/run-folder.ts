/** All temporary folders of a test run are in one folder, which is removed at its end. */
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export const setup = () => runFolder(tmpdir())

export function runFolder(parent: string): () => void {
  const folder = mkdtempSync(join(parent, 'minikeepsafe-tests-'))
  // If the tests run as root, some servers run as another user.
  chmodSync(folder, 0o755)
  process.env.TMPDIR = folder
  return () => rmSync(folder, { recursive: true, force: true })
}

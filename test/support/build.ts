/** Builds `dist/` for tests that start processes: it starts several times faster than the sources. */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..', '..')

/** The built web vault, for `web` of `testApp`. */
export const WEB_FOLDER = join(root, 'dist', 'web')

export const setup = () => void execFileSync(process.execPath, [join(root, 'build.js')], { stdio: 'inherit' })

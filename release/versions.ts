/** The version of a release. */

const VERSION = /^(\d+)\.(\d+)\.(\d+)$/

/** `bump` is patch, minor, major, or a version that is not before the present one. Throws otherwise. */
export function nextVersion(present: string, bump: string): string {
  const [major, minor, patch] = numbersOf(present)
  if (bump === 'patch') return `${major}.${minor}.${patch + 1}`
  if (bump === 'minor') return `${major}.${minor + 1}.0`
  if (bump === 'major') return `${major + 1}.0.0`
  numbersOf(bump)
  const isBefore = bump.localeCompare(present, 'en', { numeric: true }) < 0
  if (isBefore) throw new Error(`${bump} is before the present version, ${present}`)
  return bump
}

function numbersOf(version: string): [number, number, number] {
  const [, ...numbers] = VERSION.exec(version) ?? []
  if (numbers.length === 0) throw new Error(`"${version}" is neither patch, minor, major nor a version such as 1.2.3`)
  return numbers.map(Number) as [number, number, number]
}

/** A package.json with another version; everything else stays as it is written. */
export function withVersion(packageFile: string, version: string): string {
  return packageFile.replace(/^( {2}"version": )".*"/m, `$1"${version}"`)
}

/** A package-lock.json with another version of our own packages. */
export function withLockedVersion(lockFile: string, version: string): string {
  const lock = JSON.parse(lockFile) as { version: string; packages: Record<string, { version?: string; link?: true }> }
  lock.version = version
  for (const [path, locked] of Object.entries(lock.packages)) {
    if (!path.includes('node_modules/')) locked.version = version
  }
  return `${JSON.stringify(lock, null, 2)}\n`
}

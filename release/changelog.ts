/** Turns "Unreleased" of CHANGELOG.md into a version. */

const UNRELEASED = '## Unreleased'

/** The text with the entries of "Unreleased" under the version, and an empty "Unreleased" before it. Throws if there are none. */
export function withRelease(changelog: string, version: string, date: string): string {
  const start = changelog.search(new RegExp(`^${UNRELEASED}$`, 'm'))
  if (start < 0) throw new Error(`CHANGELOG.md has no line "${UNRELEASED}"`)
  const after = start + UNRELEASED.length
  const [entries = ''] = changelog.slice(after).split(/^## /m)
  if (!/^- /m.test(entries)) throw new Error('CHANGELOG.md has no entry under Unreleased: there is nothing to release')
  return `${changelog.slice(0, after)}\n\n## ${version} - ${date}${changelog.slice(after)}`
}

/** The part of the quota that an upload may use, as far as this is certain before its bytes arrive. The commit decides. */
import type { Used } from '../../ports/files.ts'
import type { Problem } from '../../problems.ts'
import type { Needs } from '../context.ts'
import type { AddOptions, PutOptions } from './files.ts'
import { refusals, type Spot, storedBytes } from './placing.ts'

export function openFitting({
  ports: { users, files },
  rules,
  trash,
  placing: { isOverBytes },
}: Needs<'users' | 'files', 'rules' | 'trash' | 'placing'>) {
  return { refusalOf, largestFitting, admitted }

  /** The refusal that is certain before the bytes arrive; `null` if only the commit can decide. */
  function refusalOf(
    { used, current }: Spot,
    { announcedBytes, replaced }: Pick<PutOptions, 'announcedBytes' | 'replaced'>,
  ): Problem | null {
    const keeps = current !== null && replaced === 'trash'
    // A body of another length has other bytes. A body of the same length may have the same bytes.
    if (keeps && (announcedBytes === null || announcedBytes === current.sizeBytes)) return null
    const freedBytes = keeps ? 0 : storedBytes(current)
    if (announcedBytes !== null && isOverBytes(used, announcedBytes - freedBytes)) {
      return refusals.quota(rules, keeps && !isOverBytes(used, announcedBytes - storedBytes(current)))
    }
    return (keeps || !current) && isFullOfFiles(used) ? refusals['quota-files'](rules, keeps) : null
  }

  function isFullOfFiles(used: Used): boolean {
    return used.files >= rules.quota.files
  }

  /** The largest upload that can fit. A larger upload always increases usage, so it cannot fit the quota. */
  function largestFitting(used: Used): number {
    return rules.quota.bytes === null ? Number.POSITIVE_INFINITY : Math.max(rules.quota.bytes, used.bytes)
  }

  /** The largest upload that the quota allows for a form, whose name is not known yet. */
  async function admitted(owner: string, announced: AddOptions['announced']): Promise<number> {
    // Without a byte quota, a form that arrives at once skips this check, which saves a round trip: the commit checks again.
    if (rules.quota.bytes === null && !announced?.leastBytes) return Number.POSITIVE_INFINITY
    const { bytes, files, trashFiles } = await users.usage(owner)
    const used = { bytes, files: files + trashFiles }
    if (announced) {
      const refusal = isOverBytes(used, announced.leastBytes) ? 'quota' : isFullOfFiles(used) ? 'quota-files' : null
      if (refusal && (await trash.expireOf(owner))) return admitted(owner, announced)
      if (refusal && !(await mayHaveAlready(owner, announced))) throw refusals[refusal](rules, false)
    }
    return largestFitting(used)
  }

  /** True if the same bytes may be there already, for example after a lost response. Then the upload needs no space. */
  async function mayHaveAlready(owner: string, { leastBytes, mostBytes }: NonNullable<AddOptions['announced']>) {
    const after = { key: leastBytes, id: '' }
    const [next] = await files.list(owner, { prefix: '', sort: 'size', order: 'asc', after, limit: 1 })
    return next !== undefined && next.sizeBytes <= mostBytes
  }
}

/** Which files of the device are safe to delete there, because the vault has them. */
import type { Files } from './files.ts'
import { digestOf, type Hashing } from './hashing.ts'
import { readable, type Uploadable } from './sources.ts'
import type { FoundFile } from './wire.ts'

const DAY = 24 * 60 * 60 * 1000
/** A later time is no recent one: then the clock of this device is wrong, and says nothing. */
const CLOCKS_DIFFER = 5 * 60 * 1000

/** A file of the device: its digest in hex, or the file itself, which is read for it. */
export type LocalFile = { sha256: string } | { file: Uploadable }

export interface FreeSpaceOptions {
  /** How long ago the server may have read the bytes back. It reads older ones back now. A day by default. */
  verifiedWithinMs?: number
  /** Whether a file that is only in the trash is safe, too, though the server will delete it. */
  trashIsSafe?: boolean
  signal?: AbortSignal
}

export interface Judged<Local> {
  local: Local
  sha256: string
  isSafe: boolean
  /** Its entry on the server; `null` if there is none. */
  state: FoundFile['state'] | null
  verifiedAt: string | null
}

export function openFreeSpaceCheck({ lookup }: Pick<Files, 'lookup'>, hashing: Hashing) {
  return async function freeSpaceCheck<Local extends LocalFile>(
    files: readonly Local[],
    { verifiedWithinMs = DAY, trashIsSafe = false, signal }: FreeSpaceOptions = {},
  ): Promise<Judged<Local>[]> {
    const digests: string[] = []
    for (const local of files) {
      digests.push('sha256' in local ? local.sha256 : await digestOf(readable(local.file), hashing, { signal }))
    }
    const counts = ({ state }: FoundFile) => state === 'live' || trashIsSafe
    const isRecent = ({ verifiedAt }: FoundFile) => {
      if (verifiedAt === null) return false
      const ago = Date.now() - Date.parse(verifiedAt)
      return ago >= -CLOCKS_DIFFER && ago <= verifiedWithinMs
    }
    const found = await lookup(digests, { signal })
    const recent = bestOf(found.filter((file) => counts(file) && isRecent(file)))
    const doubtful = found.filter((file) => counts(file) && !recent.has(file.sha256)).map(({ sha256 }) => sha256)
    // The response leaves out files that do not open.
    const verified = await lookup(doubtful, { verify: true, signal })
    const safe = bestOf([...verified.filter(counts), ...recent.values()])
    const known = bestOf(found)
    return files.map((local, i) => {
      const sha256 = digests[i] as string
      const file = safe.get(sha256) ?? known.get(sha256)
      return {
        ...{ local, sha256, isSafe: safe.has(sha256) },
        ...{ state: file?.state ?? null, verifiedAt: file?.verifiedAt ?? null },
      }
    })
  }
}

/** One file for each digest: a live one, if there is one. */
function bestOf(files: FoundFile[]): Map<string, FoundFile> {
  const best = new Map<string, FoundFile>()
  for (const file of files) if (best.get(file.sha256)?.state !== 'live') best.set(file.sha256, file)
  return best
}

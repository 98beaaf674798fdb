/** What a phone knows that the vault has, and what the vault says that it has. */
import { createHash } from 'node:crypto'
import type { Client } from '../../clients/typescript/src/client.ts'
import { DAY_MS } from './clock.ts'
import { TRASH_DAYS } from './settings.ts'

export interface Kept {
  /** Empty while nobody has told it to the phone. */
  id: string
  name: string
  sha256: string
  size: number
  takenAt: string | null
  /** The digest and the size of the thumbnail. */
  picture: { sha256: string; size: number } | null
}

export interface Trashed extends Kept {
  deletedAt: number
}

export interface State {
  live: Kept[]
  trash: Trashed[]
}

/** What the vault has of one user. `picture` is only known as present or absent. */
export interface Found {
  live: FoundEntry[]
  trash: (FoundEntry & { deletedAt: number })[]
}

type FoundEntry = Omit<Kept, 'picture'> & { hasPicture: boolean }

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

export const liveOf = (state: State, name: string): Kept | undefined => state.live.find((file) => file.name === name)

export const without = <T extends Kept>(list: T[], gone: Kept): T[] => list.filter((file) => file !== gone)

/** Everything, page by page. */
export async function everythingOf(client: Pick<Client, 'list' | 'trash'>): Promise<Found> {
  const found: Found = { live: [], trash: [] }
  for await (const { id, name, sha256, size, takenAt, thumbnail } of client.list({ pageSize: 20 })) {
    found.live.push({ id, name, sha256, size, takenAt, hasPicture: thumbnail !== null })
  }
  for await (const { id, name, sha256, size, takenAt, thumbnail, deletedAt } of client.trash.list({ pageSize: 20 })) {
    const hasPicture = thumbnail !== null
    found.trash.push({ id, name, sha256, size, takenAt, hasPicture, deletedAt: Date.parse(deletedAt) })
  }
  return found
}

/** What differs, for a person; `null` if the vault has exactly this. Entries of the trash that are over do not count. */
export function differenceOf(found: Found, state: State, now: number): string | null {
  const isKept = ({ deletedAt }: { deletedAt: number }) => deletedAt > now - TRASH_DAYS * DAY_MS
  const differences = [
    ...differing('live', found.live.map(lineOfFound), state.live.map(lineOf)),
    ...differing('trash', found.trash.filter(isKept).map(lineOfFound), state.trash.filter(isKept).map(lineOf)),
  ]
  return differences.length === 0 ? null : differences.join('; ')
}

/** The state with the ids and times that the vault has told. */
export function adopted(found: Found, state: State): State {
  const known = [...state.live, ...state.trash]
  const pictureOf = (file: FoundEntry) => {
    const candidates = known.filter((one) => one.sha256 === file.sha256 && one.picture !== null)
    return file.hasPicture ? ((candidates.find(({ id }) => id === file.id) ?? candidates[0])?.picture ?? null) : null
  }
  const entry = <T extends FoundEntry>(file: T) => ({ ...file, picture: pictureOf(file) })
  return { live: found.live.map(entry), trash: found.trash.map(entry) }
}

const lineOf = ({ name, sha256, size, takenAt, picture }: Kept) =>
  lineOfFound({ name, sha256, size, takenAt, hasPicture: picture !== null })

const lineOfFound = ({ name, sha256, size, takenAt, hasPicture }: Omit<FoundEntry, 'id'>) =>
  `${name} ${sha256.slice(0, 12)} ${size} ${takenAt} ${hasPicture}`

/** Equal lines count as often as they appear. */
function differing(where: string, found: string[], expected: string[]): string[] {
  const rest = [...found]
  const lost = expected.filter((line) => {
    const at = rest.indexOf(line)
    if (at >= 0) rest.splice(at, 1)
    return at < 0
  })
  return [...lost.map((line) => `${where} lacks ${line}`), ...rest.map((line) => `${where} has also ${line}`)]
}

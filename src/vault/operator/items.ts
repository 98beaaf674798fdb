/** The files and uploads of a vault, as a command reads them one after the other while servers may change them. */
import pLimit from 'p-limit'
import type { UserRepository } from '../../ports/accounts.ts'
import type { BlobStore } from '../../ports/blobs.ts'
import type { OwnedFile } from '../../ports/files.ts'
import type { Subject } from '../../ports/operator.ts'
import type { Ports } from '../../ports/ports.ts'
import type { OwnedUpload } from '../../ports/uploads.ts'
import type { Finding, Inspection } from '../files/inspection.ts'

const PAGE = 100

/** A file or an upload, as it was read. */
export interface Item {
  is: 'files' | 'uploads'
  subject: Subject
  owner: string
  id: string
  version: string
  sizeBytes: number
  /** The parts that an upload had; `null` for a file, which always has the same. */
  parts: number | null
  inspect(blobs: BlobStore): Promise<Finding>
  /** As it is now; `null` if it is gone or its user was removed. An upload that is complete is gone: it is a file. */
  now(): Promise<Item | null>
}

export interface Items {
  ofFile(owned: OwnedFile): Item
  ofUpload(owned: OwnedUpload): Item
}

export function openItems(
  { files, uploads, users }: Pick<Ports, 'files' | 'uploads' | 'users'>,
  { inspect, inspectUpload }: Pick<Inspection, 'inspect' | 'inspectUpload'>,
): Items {
  return { ofFile, ofUpload }

  function ofFile(owned: OwnedFile): Item {
    const { owner, file } = owned
    const { id, version, sizeBytes } = file
    return {
      ...{ is: 'files', subject: { file: id }, owner, id, version, sizeBytes, parts: null },
      inspect: (blobs) => inspect(blobs, owned),
      async now() {
        const found = await files.byId(id)
        return found && !(await departedUsers(users)).has(found.owner) ? ofFile(found) : null
      },
    }
  }

  function ofUpload(owned: OwnedUpload): Item {
    const { owner, upload } = owned
    const { id, offset: sizeBytes, parts } = upload
    return {
      ...{ is: 'uploads', subject: { user: owner, upload: id }, owner, id, version: id, sizeBytes, parts },
      inspect: (blobs) => inspectUpload(blobs, owned),
      async now() {
        const found = await uploads.find(owner, id)
        const isOpen = found && found.fileId === null && !(await departedUsers(users)).has(owner)
        return isOpen ? ofUpload({ owner, upload: found }) : null
      },
    }
  }
}

/**
 * Inspects an item. If it does not open and has changed meanwhile, it is inspected again as it is now. `null` if it is
 * gone.
 */
export async function settled(
  seen: Item,
  inspect: (item: Item) => Promise<Finding>,
): Promise<{ item: Item; finding: Finding } | null> {
  for (let item = seen; ; ) {
    const finding = await inspect(item)
    if (finding.kind === 'sound') return { item, finding }
    const now = await item.now()
    if (!now) return null
    if ((['version', 'sizeBytes', 'parts'] as const).every((what) => now[what] === item[what])) return { item, finding }
    item = now
  }
}

/** The contents of these users do not open any more, and are being removed. */
export async function departedUsers(users: Pick<UserRepository, 'departed'>): Promise<Set<string>> {
  return new Set(await users.departed(Number.MAX_SAFE_INTEGER))
}

export async function* pagesOf<Entry>(
  read: (after: string, limit: number) => Promise<Entry[]>,
  idOf: (entry: Entry) => string,
): AsyncGenerator<Entry[]> {
  for (let after = ''; ; ) {
    const page = await read(after, PAGE)
    const last = page.at(-1)
    if (last === undefined) return
    after = idOf(last)
    yield page
  }
}

/** Works on at most `atOnce` entries at a time. After an error it begins no other one, and throws it once those under way have ended. */
export async function forEachOf<Entry>(entries: Entry[], atOnce: number, work: (entry: Entry) => Promise<void>) {
  const errors: unknown[] = []
  await pLimit(atOnce).map(entries, async (entry) => {
    if (errors.length === 0) await work(entry).catch((error) => errors.push(error))
  })
  if (errors.length > 0) throw errors[0]
}

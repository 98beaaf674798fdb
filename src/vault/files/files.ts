/** Files. An upload is stored whole or not at all, under one name of its owner. */
import type { Caller } from '../../ports/accounts.ts'
import type { Source, Taken } from '../../ports/files.ts'
import { problems } from '../../problems.ts'
import type { Needs } from '../context.ts'
import { type ContentReader, openContent, type Range } from '../crypto/content.ts'
import { missingBlob } from './damage.ts'
import { openFitting } from './fitting.ts'
import { type Listing, openListing } from './listing.ts'
import { fileName } from './names.ts'
import type { Placement, Spot } from './placing.ts'
import { openReceiving, type Receive, type Received } from './receiving.ts'
import { type StoredFile, unseal } from './stored-file.ts'

/** Throws if the file of the name, or its absence, is not what the caller requires. */
export type Guard = (current: StoredFile | null) => void

export interface PutOptions {
  /** `null` if the client did not name a type. */
  contentType: string | null
  /** When the content was made; `null` if the client did not say. */
  taken: Taken | null
  /** Whether a replaced version with other bytes goes to the trash or is deleted at once. */
  replaced: 'trash' | 'discard'
  /** The announced number of bytes; `null` if it is not known. */
  announcedBytes: number | null
  guard: Guard
  /** Throws if the bytes are not those that the client intended. */
  check(received: Received): void
}

/** The fields of a form after the whole form was read. */
export interface ReadForm {
  name: string
  /** `null` if the client did not name a type. */
  contentType: string | null
  /** When the content was made; `null` if the client did not say. */
  taken: Taken | null
  received: Received
}

export interface AddOptions {
  /** Bounds of the number of bytes, or `null` if they are not known. A form is larger than its file. */
  announced: { leastBytes: number; mostBytes: number } | null
  /** If the name is taken by other bytes: refuse, or use the first free numbered name. */
  onConflict: 'fail' | 'rename'
  /** The upload that the form came as; `null` for none. It becomes complete with the file. */
  source: Source | null
}

/** `null` leaves it as it is. */
export interface Edit {
  name: string | null
  taken: Taken | null
}

export interface Files extends Listing {
  /** Puts the bytes under exactly this name and replaces the file there (PUT, RFC 9110, section 9.3.4). */
  put(owner: string, anyName: string, bytes: AsyncIterable<Uint8Array>, options: PutOptions): Promise<Placement>
  /**
   * Adds a file that replaces nothing. `readForm` passes the bytes to `receive` and returns their name. If the name is
   * taken by the same bytes, the result is the existing file. If it is taken by other bytes, the result is
   * `file-exists`, or with `rename` the first free numbered name.
   */
  add(owner: string, readForm: (receive: Receive) => Promise<ReadForm>, options: AddOptions): Promise<Placement>
  /** The owner's file of this name, or `file-not-found`. */
  find(owner: string, name: string): Promise<StoredFile>
  /**
   * A file, and the bytes that `choose` selects; the caller closes them. If the version is replaced in between, the row
   * is read again, so file and bytes always belong together.
   */
  open<Choice extends { range: Range | null }>(
    owner: string,
    name: string,
    choose: (file: StoredFile) => Choice,
  ): Promise<{ choice: Choice; bytes: ContentReader | null }>
  /** Gives a file another name, another date, or both. `file-exists` if another file has the name. */
  edit(owner: string, name: string, edit: Edit, guard: Guard): Promise<StoredFile>
  /** Moves a file to the trash. */
  discard(owner: string, name: string, guard: Guard, caller: Caller): Promise<void>
}

export function openFiles(
  context: Needs<
    'users' | 'files' | 'blobs' | 'clock' | 'chance' | 'changeNotices',
    | 'rules'
    | 'keys'
    | 'admission'
    | 'background'
    | 'doubtfulBlobs'
    | 'unrecorded'
    | 'receivingTurns'
    | 'storingSlots'
    | 'openingTurns'
    | 'activity'
    | 'unsealPage'
    | 'trash'
    | 'placing'
    | 'readBacks'
    | 'turns'
  >,
): Files {
  const { ports, keys, activity, trash, placing, readBacks, openingTurns } = context
  const { files, blobs, clock, changeNotices } = ports
  const whileReceiving = openReceiving(context)
  const { currentSpot, spotFor, place } = placing
  const { refusalOf, largestFitting, admitted } = openFitting(context)

  return {
    put(owner, anyName, bytes, options) {
      return whileReceiving(owner, async (receive) => {
        const name = fileName(anyName)
        let spot = await currentSpot(owner, name)
        options.guard(spot.current)
        if (refusalOf(spot, options) && (await trash.expireOf(owner))) spot = await currentSpot(owner, name)
        const refusal = refusalOf(spot, options)
        if (refusal) throw refusal
        const received = await receive(bytes, largestFitting(spot.used))
        options.check(received)
        let seen: Spot | null = spot
        return placing.attempts(owner, name, async () => {
          const now = seen ?? (await currentSpot(owner, name))
          if (!seen) options.guard(now.current)
          seen = null
          return place(owner, options.contentType, received, now, options.replaced, options.taken)
        })
      })
    },

    add(owner, readForm, { announced, onConflict, source }) {
      return whileReceiving<Placement>(owner, async (receive) => {
        const mostBytes = await admitted(owner, announced)
        const { contentType, taken, received, ...form } = await readForm((bytes) => receive(bytes, mostBytes))
        const name = fileName(form.name)
        return placing.attempts(owner, name, async () => {
          const spot = await spotFor(owner, name, received, onConflict)
          const type = spot.current?.contentType ?? contentType
          return place(owner, type, { ...received, source }, spot, 'trash', taken)
        })
      })
    },

    find,
    list: openListing(context).list,

    async open(owner, name, choose) {
      let missing = ''
      // A store that opens ahead is expensive to ask.
      const opening = () => (blobs.opensAhead > 1 ? openingTurns.next(owner) : Promise.resolve())
      for (;;) {
        const { vaultKey, row, firstPart } = await snapshotOf(owner, fileName(name))
        if (!row) throw problems.fileNotFound()
        const { file, secrets } = unseal(vaultKey, owner, row)
        if (file.version === missing) throw problems.internalError(missingBlob(file, firstPart))
        const choice = choose(file)
        if (!choice.range) return { choice, bytes: null }
        const bytes = await openContent({ files, blobs, opening }, file, secrets, choice.range, firstPart)
        if (bytes) return { choice, bytes: readBacks.watch(file, choice.range, bytes) }
        missing = file.version
      }
    },

    async edit(owner, name, { name: anyNewName, taken }, guard) {
      const newName = anyNewName === null ? null : fileName(anyNewName)
      for (;;) {
        const current = await find(owner, name)
        guard(current)
        const at = clock()
        const answer = await files.edit(owner, current, { name: newName, taken }, at)
        if (answer === 'taken') throw problems.fileExists('')
        if (answer === 'stale') continue
        changeNotices.publish(owner)
        const isRenamed = newName !== null && newName !== current.name
        return { ...current, ...(isRenamed && { name: newName, namedAt: at }), ...taken }
      }
    },

    async discard(owner, name, guard, caller) {
      for (;;) {
        const current = await find(owner, name)
        guard(current)
        if ((await files.discard(owner, current, clock())) === 'stale') continue
        changeNotices.publish(owner)
        return activity.note(owner, 'file-deleted', caller, { fileId: current.id })
      }
    },
  }

  /** The sealed row of the name, and the key that opens it. */
  async function snapshotOf(owner: string, name: string) {
    const found = await files.snapshot(owner, name)
    if (!found) throw problems.unauthorized()
    const { used, file: row, firstPart } = found
    return { vaultKey: keys.open(owner, found.slot), used, row, firstPart }
  }

  async function find(owner: string, name: string): Promise<StoredFile> {
    const { current } = await currentSpot(owner, fileName(name))
    if (!current) throw problems.fileNotFound()
    return current
  }
}

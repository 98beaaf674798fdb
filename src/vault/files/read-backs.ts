/** Reads versions back, and records when all their bytes opened (`verifiedAt`) or did not. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { SealedFile } from '../../ports/files.ts'
import type { Needs } from '../context.ts'
import type { ContentReader, Range } from '../crypto/content.ts'
import { changedNothing } from './admission.ts'
import type { Damage } from './damage.ts'
import { damageOf, type Openable, openInspection } from './inspection.ts'

/** Read-backs that wait to be recorded: about 300 KiB of memory. Further ones of downloads are dropped. */
const MOST_WAITING = 1000
/** Records of one transaction. Other requests wait for it. */
const BATCH = 50
/** A download that ends sooner after the last read-back is not recorded. */
const FRESH_MS = 60_000
/** Codes of errors that say nothing about the file. With any other code its blob cannot be read. */
const PASSING = ['EUNREACHABLE', 'EAGAIN', 'ECONNABORTED', 'EMFILE', 'ENFILE', 'ENOMEM', 'ENOSPC', 'EROFS', 'ECANCELED']

type Version = Pick<SealedFile, 'id' | 'version'>

export interface ReadBacks {
  /** The same reader. If the range is the whole content, its end is recorded. */
  watch(
    file: Version & Pick<SealedFile, 'sizeBytes' | 'verifiedAt'>,
    range: Range,
    reader: ContentReader,
  ): ContentReader
  /** Records in the background that all bytes of the version opened just now, or that they did not. A crash may lose it. */
  note(file: Version, opened: boolean): void
  /** When the version was last read back, also if this is not recorded yet. */
  verifiedAt(file: Version & Pick<SealedFile, 'verifiedAt'>): number | null
  /**
   * Reads a file back and notes the result: `opened`, `gone` if it was removed or replaced by other bytes meanwhile, or its
   * damage. Throws if the store has an error that may pass. `onBytes` is called with the number of bytes that were read; to
   * stop, it throws an error with the code `ECANCELED`.
   */
  inspect(owned: Openable, onBytes: (bytes: number) => void | Promise<void>): Promise<'opened' | 'gone' | Damage>
  /** Records everything that waits. An error is logged. */
  record(): Promise<void>
}

export function openReadBacks({
  ports,
  rules,
  keys,
  background,
}: Needs<'users' | 'keySlots' | 'files' | 'blobs' | 'clock' | 'alarm', 'rules' | 'keys' | 'background'>): ReadBacks {
  const { users, files, blobs, clock, alarm } = ports
  /** By the id of the file. An entry stays until it is recorded. */
  const waiting = new Map<string, Attempt>()
  let recording = Promise.resolve()

  return {
    watch(file, range, reader) {
      if (range.start > 0 || range.end + 1 < file.sizeBytes) return reader
      let left = file.sizeBytes
      return {
        ...reader,
        async next() {
          const chunks = await reader.next()
          for (const { length } of chunks ?? []) left -= length
          if (chunks && left === 0 && !isFresh(file.verifiedAt) && waiting.size < MOST_WAITING) note(file, true)
          return chunks
        },
      }
    },

    note,

    verifiedAt({ id, version, verifiedAt }) {
      const attempt = waiting.get(id)
      return attempt?.opened && attempt.version === version ? attempt.at : verifiedAt
    },

    async inspect(seen, onBytes) {
      const { inspect } = openInspection({ ports, keys, onBytes })
      for (let current: Openable = seen; ; ) {
        const { file, owner } = current
        const finding = await inspect(blobs, current)
        if (finding.kind === 'sound') {
          note(file, true)
          return 'opened'
        }
        if (finding.kind === 'unreadable' && PASSING.includes(codeOf(finding.cause))) throw finding.cause
        const now = await files.byId(file.id)
        if (!now || !isSameContent(now.file, file) || !(await users.find(owner))) return 'gone'
        if (now.file.version === file.version) {
          note(file, false)
          return damageOf(file.id, finding)
        }
        current = now
      }
    },

    record,
  }

  function isFresh(verifiedAt: number | null): boolean {
    if (verifiedAt === null) return false
    const age = clock() - verifiedAt
    return age >= 0 && age < FRESH_MS
  }

  function note({ id, version }: Version, opened: boolean): void {
    if (rules.readOnly) return
    waiting.set(id, { id, version, at: clock(), opened })
    if (waiting.size === MOST_WAITING) background('recording read-backs', record())
  }

  function record(): Promise<void> {
    recording = recording.then(recordAll)
    return recording
  }

  async function recordAll(): Promise<void> {
    const attempts = [...waiting.values()]
    for (let at = 0; at < attempts.length; at += BATCH) {
      const batch = attempts.slice(at, at + BATCH)
      await files.recordReadBacks(batch).catch((error: unknown) => {
        if (!changedNothing(error)) alarm(error, 'recording read-backs')
      })
      for (const attempt of batch) if (waiting.get(attempt.id) === attempt) waiting.delete(attempt.id)
      await nextTurn()
    }
  }
}

interface Attempt extends Version {
  at: number
  opened: boolean
}

function isSameContent(one: Openable['file'], other: Openable['file']): boolean {
  return one.version === other.version || (one.tag !== null && other.tag !== null && one.tag.equals(other.tag))
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? ''
}

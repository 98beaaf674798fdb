/** Makes stored bytes a file: decides about conflicts of names and the quota, and commits. */
import type { Displaced, Source, Taken, Used } from '../../ports/files.ts'
import type { VaultRules } from '../../ports/ports.ts'
import { problems } from '../../problems.ts'
import type { Needs } from '../context.ts'
import { type Secrets, sealSecrets } from '../crypto/envelope.ts'
import { runEnded } from './admission.ts'
import { openAttempts } from './attempts.ts'
import { numberedPrefix, typeOfName } from './names.ts'
import { freeNumberedName, numberedWithTag } from './stand-ins.ts'
import { type StoredFile, unseal } from './stored-file.ts'
import { tagOf } from './tags.ts'

/** The date of a file whose client gave none. */
export const NOT_TAKEN: Taken = { takenAt: null, takenOffset: 0 }
const NO_THUMBNAIL = { thumbnail: null, thumbnailBytes: 0 }

export interface Placement {
  file: StoredFile
  /** `created`: the name had no file. `replaced`: the name had another version. `same`: the name had this very version. */
  outcome: 'created' | 'replaced' | 'same'
}

/** Bytes that are stored completely and that no file has yet. */
export interface Content extends Secrets {
  /** The blob of the only part; `null` if the parts are recorded already, under `version`. */
  blob: string | null
  version: string | null
  /** The upload that the bytes were taken from; `null` if they are all of their upload. */
  source: Source | null
  /** Runs the commit that makes the bytes a file. */
  offer<Answer>(commit: () => Promise<Answer>): Promise<Answer>
}

/** A name, its file, and the vault key of its owner. */
export interface Spot {
  name: string
  vaultKey: Buffer
  used: Used
  current: StoredFile | null
  /** The secrets of the current version. */
  secrets: Secrets | null
}

export interface Placing {
  /** Reads the file of a name. Throws `unauthorized` if there is no such user. */
  currentSpot(owner: string, name: string): Promise<Spot>
  /** The spot of a free name, or of the file that has these very bytes already. With `fail`, `file-exists` for any other. */
  spotFor(owner: string, name: string, content: Content, onConflict: 'fail' | 'rename'): Promise<Spot>
  /**
   * Commits the content in place of the file of the spot. `null` if the caller must read the spot again and retry. The same bytes
   * also replace their version: so a repeated upload repairs one that is damaged on the disk. They keep the date taken if the
   * caller gives none.
   */
  place(
    owner: string,
    givenType: string | null,
    content: Content,
    spot: Spot,
    replaced: 'trash' | 'discard',
    taken: Taken | null,
  ): Promise<Placement | null>
  /**
   * Repeats an attempt at the file of a name until its result is not `null`, as `Attempts` does. Names whose numbered names collide
   * share one queue.
   */
  attempts<Result>(owner: string, name: string, attempt: () => Promise<Result | null>): Promise<Result>
  isOverBytes(used: Pick<Used, 'bytes'>, grownBytes: number): boolean
}

export function openPlacing({
  ports,
  rules,
  keys,
  admission,
  background,
  collect,
  trash,
  turns,
}: Needs<
  'users' | 'files' | 'clock' | 'chance' | 'changeNotices',
  'rules' | 'keys' | 'admission' | 'background' | 'collect' | 'trash' | 'turns'
>): Placing {
  const { users, files, clock, chance, changeNotices } = ports
  const { repeat } = openAttempts()

  return {
    currentSpot,

    attempts: (owner, name, attempt) => repeat(`${owner} ${numberedPrefix(name)}`, attempt),

    async spotFor(owner, name, content, onConflict) {
      const spot = await currentSpot(owner, name)
      const { current: holder, vaultKey, used } = spot
      if (!holder || sameBytes(holder, content)) return spot
      if (onConflict === 'fail') throw problems.fileExists()

      // The bodies of many requests may end at the same moment.
      const nextTurn = () => turns.next(owner)
      for await (const row of numberedWithTag(files, nextTurn, owner, name, tagOf(vaultKey, content.sha256))) {
        const { file, secrets } = unseal(vaultKey, owner, row)
        if (sameBytes(file, content)) return { name: file.name, vaultKey, used, current: file, secrets }
      }
      await nextTurn()
      return { name: await freeNumberedName(ports, owner, name), vaultKey, used, current: null, secrets: null }
    },

    async place(owner, givenType, content, { name, vaultKey, current, secrets }, replaced, taken) {
      const now = clock()
      const sameContent = current !== null && sameBytes(current, content)
      const contentType = givenType ?? (sameContent ? current.contentType : await typeOfName(name))
      const { id, createdAt } = current ?? { id: chance.id(), createdAt: now }
      const { blob, sizeBytes, sha256 } = content
      const same = sameContent && current.contentType === contentType
      // A new version is later than every earlier one, even if the clock is not.
      const changedAt = current ? Math.max(now, current.updatedAt + 1) : now
      const updatedAt = same ? current.updatedAt : changedAt
      const namedAt = same ? current.namedAt : now
      const version = content.version ?? chance.id()
      const file = { id, name, sizeBytes, contentType, createdAt, updatedAt, namedAt, version, ...(taken ?? NOT_TAKEN) }
      const seal = sealSecrets(vaultKey, chance.bytes(12), owner, id, content)
      const row = { ...file, blob, seal, tag: tagOf(vaultKey, sha256) }
      const displaced = secrets && !sameContent && replaced === 'trash' ? entryFor(owner, vaultKey, secrets, now) : null
      const seen = current?.version ?? null
      const answer = await content.offer(() => files.commit(owner, row, seen, rules.quota, displaced, content.source))
      if (answer === 'stale') return null
      if (answer === 'run-ended' && blob) admission.end(blob.slice(0, blob.indexOf('/')))
      // Expired trash does not count for the quota.
      if ((answer === 'quota' || answer === 'quota-files') && (await trash.expireOf(owner))) return null
      if (answer !== 'done') {
        const keeps = displaced !== null && (await fitsInstead(owner, current, sizeBytes))
        throw refusals[answer](rules, keeps, blob === null || content.source !== null)
      }
      changeNotices.publish(owner)
      if (content.source) background('deleting a form that is a file now', collect(owner, [content.source.upload]))
      if (current && !displaced) background('deleting a replaced version', collect(owner, [current.version]))
      const { thumbnail, thumbnailBytes, ...kept } = sameContent ? current : { ...NOT_TAKEN, ...NO_THUMBNAIL }
      const { takenAt, takenOffset } = taken ?? kept
      return {
        file: { ...file, takenAt, takenOffset, sha256, verifiedAt: null, thumbnail, thumbnailBytes },
        outcome: same ? 'same' : current ? 'replaced' : 'created',
      }
    },

    isOverBytes,
  }

  async function currentSpot(owner: string, name: string): Promise<Spot> {
    const found = await files.snapshot(owner, name)
    if (!found) throw problems.unauthorized()
    const vaultKey = keys.open(owner, found.slot)
    const opened = found.file && unseal(vaultKey, owner, found.file)
    const { used } = found
    return { name, vaultKey, used, current: opened?.file ?? null, secrets: opened?.secrets ?? null }
  }

  function isOverBytes(used: Pick<Used, 'bytes'>, grownBytes: number): boolean {
    return rules.quota.bytes !== null && grownBytes > 0 && used.bytes + grownBytes > rules.quota.bytes
  }

  /** True if the bytes would fit without moving the replaced version to the trash. */
  async function fitsInstead(owner: string, current: StoredFile | null, sizeBytes: number): Promise<boolean> {
    return !isOverBytes(await users.usage(owner), sizeBytes - storedBytes(current))
  }

  /** The trash entry of a replaced version. */
  function entryFor(owner: string, vaultKey: Buffer, secrets: Secrets, deletedAt: number): Displaced {
    const id = chance.id()
    return { id, seal: sealSecrets(vaultKey, chance.bytes(12), owner, id, secrets), deletedAt }
  }
}

/**
 * `keeps`: the replaced version would have gone to the trash, and the bytes fit without that. `isUpload`: the bytes are those of
 * an upload, which stays.
 */
export const refusals = {
  quota: ({ quota }: VaultRules, keeps: boolean, isUpload = false) =>
    problems.quotaExceeded(quota.bytes as number, 'bytes', { keepsReplaced: keeps, isUpload }),
  'quota-files': ({ quota }: VaultRules, keeps: boolean, isUpload = false) =>
    problems.quotaExceeded(quota.files, 'files', { keepsReplaced: keeps, isUpload }),
  gone: () => problems.unauthorized(),
  'run-ended': () => runEnded(),
  'upload-gone': () => problems.uploadNotFound(),
}

/** The bytes of a file for the quota: those of its content and its thumbnail. */
export function storedBytes(file: StoredFile | null): number {
  return file ? file.sizeBytes + file.thumbnailBytes : 0
}

export function sameBytes(file: StoredFile, content: Pick<Content, 'sha256' | 'sizeBytes'>): boolean {
  return file.sha256 === content.sha256 && file.sizeBytes === content.sizeBytes
}

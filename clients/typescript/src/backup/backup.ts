/** Brings a folder into the vault. Nothing is changed or deleted in the folder, and nothing is deleted in the vault. */
import { throwIfAborted } from '../backoff.ts'
import type { Client } from '../client.ts'
import { isVaultError, VaultError } from '../errors.ts'
import { digestOf } from '../hashing.ts'
import { vaultName } from '../names.ts'
import { fileSource } from '../node/file-source.ts'
import { nodeSha256 } from '../node/hash.ts'
import { readable, type Source } from '../sources.ts'
import type { Found } from './walk.ts'

export interface BackupOptions {
  /** How many files are read or sent at a time. */
  parallel: number
  /** If a file has other bytes than the one of its name in the vault: number the new one, or replace the old one. */
  onConflict: 'rename' | 'replace'
  signal: AbortSignal
  onEvent(event: BackupEvent): void
}

export type BackupEvent =
  | { what: 'sent'; relative: string; name: string; size: number }
  | { what: 'there'; relative: string }
  | { what: 'failed'; relative: string; error: unknown }

/** Files of one lookup. While the files of one lookup are sent, those of the next are hashed. */
const BATCH = 100

interface Hashed extends Found {
  source: Source & { modifiedAt: Date }
  sha256: string
}

/**
 * Sends every file whose bytes the vault does not have. What its owner deleted is not sent again; a former version, which is in
 * the trash because another one replaced it, is. Equal files are stored once, under the name of the first. A file that fails does
 * not stop the others; an ended session does.
 */
export async function backUp(client: Client, files: readonly Found[], options: BackupOptions): Promise<void> {
  const { parallel, onConflict, signal, onEvent } = options
  const shared = repeated(files.map(({ relative }) => vaultName(relative)))
  const seen = new Set<string>()
  let there: Hashed[] = []
  let sent = 0
  let next = hashAll(0)
  for (let from = 0; from < files.length; from += BATCH) {
    const hashed = await next
    next = hashAll(from + BATCH)
    // If sending fails first, nobody waits for it.
    next.catch(() => {})
    const stored = await known(hashed)
    const missing = hashed.filter((file) => {
      const isThere = stored.has(file.sha256) || seen.has(file.sha256)
      seen.add(file.sha256)
      if (isThere) {
        onEvent({ what: 'there', relative: file.relative })
        if (onConflict === 'replace') there.push(file)
      }
      return !isThere
    })
    await sendAll(missing)
  }
  // A file that was there under the name of another one is in the trash if that one was replaced.
  while (onConflict === 'replace' && sent > 0) {
    sent = 0
    const stored = await known(there)
    const missing = new Map(there.filter(({ sha256 }) => !stored.has(sha256)).map((file) => [file.sha256, file]))
    there = there.filter((file) => missing.get(file.sha256) !== file)
    await sendAll([...missing.values()])
  }

  /** In the order of the list, so that of equal files the first one is sent. */
  async function hashAll(from: number): Promise<Hashed[]> {
    const batch = files.slice(from, from + BATCH)
    const hashed = new Map<Found, Hashed>()
    await inParallel(batch, parallel, (file) => attempt(file, async () => void hashed.set(file, await hash(file))))
    return batch.flatMap((file) => hashed.get(file) ?? [])
  }

  async function hash(file: Found): Promise<Hashed> {
    const source = await fileSource(file.path)
    return { ...file, source, sha256: await digestOf(readable(source), { createHash: nodeSha256 }, { signal }) }
  }

  async function sendAll(missing: Hashed[]): Promise<void> {
    await inParallel(missing, parallel, (file) => attempt(file, () => send(file)))
  }

  /** The digests of the files that are not to be sent: the vault has them, or their owner deleted them. */
  async function known(hashed: Hashed[]): Promise<Set<string>> {
    try {
      const found = await client.lookup(
        hashed.map(({ sha256 }) => sha256),
        { signal },
      )
      const stored = new Set(found.filter(({ state }) => state === 'live').map(({ sha256 }) => sha256))
      const trashed = found.filter(({ sha256 }) => !stored.has(sha256))
      if (trashed.length === 0) return stored
      const names = new Set<string>()
      for await (const { name } of client.list({ pageSize: 1000, signal })) names.add(name)
      // The name of a deleted file is free, and that of a former version is not.
      const former = new Set(trashed.filter(({ name }) => names.has(name)).map(({ sha256 }) => sha256))
      return new Set([...stored, ...trashed.map(({ sha256 }) => sha256).filter((sha256) => !former.has(sha256))])
    } catch (error) {
      // A server without lookup. It takes the same bytes under the same name again.
      if (error instanceof VaultError && (error.status === 404 || error.status === 405)) return new Set()
      throw error
    }
  }

  async function send({ source, sha256, relative }: Hashed): Promise<void> {
    const name = vaultName(relative)
    const upload = (onConflict: 'fail' | 'rename' | 'replace') =>
      client.upload(source, { name, sha256, onConflict, ...datedBy(source.modifiedAt), ifStored: 'send', signal })
    // Of several files with this name, none may replace another.
    const { file } =
      onConflict === 'replace' && !shared.has(name)
        ? await upload('replace')
        : await upload('fail').catch((error) => {
            if (isVaultError(error, 'file-exists')) return upload('rename')
            throw error
          })
    sent += 1
    onEvent({ what: 'sent', relative, name: file.name, size: source.size })
  }

  async function attempt({ relative }: Found, act: () => Promise<void>): Promise<void> {
    try {
      await act()
    } catch (error) {
      throwIfAborted(signal)
      if (isVaultError(error, 'unauthorized')) throw error
      onEvent({ what: 'failed', relative, error })
    }
  }

  /** In the order of the list. */
  async function inParallel<Entry>(entries: readonly Entry[], lanes: number, act: (entry: Entry) => Promise<void>) {
    const rest = entries.values()
    const lane = async () => {
      for (const entry of rest) {
        throwIfAborted(signal)
        await act(entry)
      }
    }
    await Promise.all(Array.from({ length: lanes }, lane))
  }
}

/** No date if RFC 3339 cannot express it: a damaged or strange file system may have any year. */
export function datedBy(modifiedAt: Date): { takenAt?: Date } {
  const year = modifiedAt.getUTCFullYear()
  return year >= 0 && year <= 9999 ? { takenAt: modifiedAt } : {}
}

/** Those that come more than once. */
function repeated(names: string[]): Set<string> {
  const once = new Set<string>()
  return new Set(names.filter((name) => once.has(name) || !once.add(name)))
}

/** Lists, lookups and changes of files. */
import { textOfDate } from './encoding.ts'
import { VaultError } from './errors.ts'
import { expected, pathOfFile, segment, type Transport, typeOf } from './transport.ts'
import type { Change, FoundFile, Month, OpenUpload, StoredFile, TrashedFile } from './wire.ts'

/** The most digests of one lookup: without `verify`, and with it. */
const MOST_LOOKED_UP = 1000
const MOST_VERIFIED = 20

export interface ListOptions {
  prefix?: string
  sort?: 'name' | 'createdAt' | 'updatedAt' | 'size' | 'takenAt'
  order?: 'asc' | 'desc'
  /** How many files one request gets: 1 to 1000. */
  pageSize?: number
  signal?: AbortSignal
}

export interface PageOptions extends Omit<ListOptions, 'pageSize'> {
  /** The `nextCursor` of the page before; none for the first page. */
  cursor?: string | null
  /** The maximum of files: 1 to 1000. */
  limit?: number
}

export interface ListPage {
  files: StoredFile[]
  /** `null` on the last page. */
  nextCursor: string | null
}

export interface ChangesOptions {
  /** The cursor that was stored after the last changes; none for everything that is there. */
  cursor?: string | null
  /** Waits for further changes, so many seconds (1 to 60) in one request, and goes on until it is aborted. */
  wait?: number
  pageSize?: number
  signal?: AbortSignal
}

export interface Changes {
  changes: Change[]
  /** Store it once these changes are stored. */
  cursor: string
}

type Page<Key extends string, Entry> = Record<Key, Entry[]> & { nextCursor: string | null }

export function openFiles(transport: Transport) {
  return {
    list: (options: ListOptions = {}): AsyncGenerator<StoredFile> => {
      const { pageSize = 500, signal, ...query } = options
      return pages<'files', StoredFile>(transport, '/v1/files', 'files', { ...query, limit: pageSize }, signal)
    },

    /** One page of the list. The cursor is good for the same `prefix`, `sort` and `order`. */
    page({ signal, ...query }: PageOptions = {}): Promise<ListPage> {
      return transport.json({ path: '/v1/files', query: { ...query }, signal })
    },

    /** The months that have files, in UTC, the newest first. A file is in the month of its `takenAt`, or else of its `createdAt`. */
    timeline: ({ pageSize = 500, signal }: { pageSize?: number; signal?: AbortSignal } = {}): AsyncGenerator<Month> =>
      pages<'months', Month>(transport, '/v1/timeline', 'months', { limit: pageSize }, signal),

    /** The live file of the name, or `null`. */
    async find(name: string, { signal }: { signal?: AbortSignal | undefined } = {}): Promise<StoredFile | null> {
      const query = { prefix: name, sort: 'name', order: 'asc', limit: 1 }
      const { files } = await transport.json<Page<'files', StoredFile>>({ path: '/v1/files', query, signal })
      return files.find((file) => file.name === name.normalize('NFC')) ?? null
    },

    /** Changes the name or `takenAt`. With `ifMatch`, only of the version with this ETag. */
    async update(
      name: string,
      changes: { name?: string; takenAt?: string | Date | null },
      { ifMatch, signal }: { ifMatch?: string; signal?: AbortSignal } = {},
    ): Promise<StoredFile> {
      const headers = { 'if-match': ifMatch }
      const json = { ...changes, takenAt: textOfDate(changes.takenAt) }
      return transport.json({ method: 'PATCH', path: pathOfFile(name), json, headers, signal })
    },

    rename(name: string, newName: string, options: { ifMatch?: string; signal?: AbortSignal } = {}) {
      return this.update(name, { name: newName }, options)
    },

    /** The file goes to the trash. */
    async remove(name: string, { ifMatch, signal }: { ifMatch?: string; signal?: AbortSignal } = {}): Promise<void> {
      return transport.done({ method: 'DELETE', path: pathOfFile(name), headers: { 'if-match': ifMatch }, signal })
    },

    /** Everything, live or in the trash, with one of these digests. With `verify` the server reads all bytes back first. */
    async lookup(
      sha256: readonly string[],
      { verify = false, signal }: { verify?: boolean; signal?: AbortSignal | undefined } = {},
    ): Promise<FoundFile[]> {
      const distinct = [...new Set(sha256)]
      const batch = verify ? MOST_VERIFIED : MOST_LOOKED_UP
      const found: FoundFile[] = []
      for (let from = 0; from < distinct.length; from += batch) {
        const json = { sha256: distinct.slice(from, from + batch), ...(verify && { verify }) }
        const call = { method: 'POST', path: '/v1/files/lookup', json, isRepeatable: true, signal } as const
        // Reading back files of many GiB takes a while.
        found.push(...(await transport.json<{ found: FoundFile[] }>({ ...call, extraMs: verify ? 600_000 : 0 })).found)
      }
      return found
    },

    /**
     * The changes since the cursor, page by page. Without `wait` it ends when there are no more. After
     * `cursor-expired` discard the local list, and begin without a cursor.
     */
    async *changes({ cursor = null, wait, pageSize = 500, signal }: ChangesOptions = {}): AsyncGenerator<Changes> {
      for (let at = cursor; ; ) {
        const query = { cursor: at, limit: pageSize, wait: at === null ? null : wait }
        const call = { path: '/v1/changes', query, signal, extraMs: (wait ?? 0) * 1000 }
        const page = await transport.json<{ changes: Change[]; nextCursor: string; more: boolean }>(call)
        at = page.nextCursor
        if (page.changes.length > 0 || !page.more) yield { changes: page.changes, cursor: page.nextCursor }
        if (!page.more && wait === undefined) return
      }
    },

    thumbnail: {
      /** With the `tag` of the file's `thumbnail`, the platform may keep the picture for good. */
      async get(
        name: string,
        { tag, signal }: { tag?: string | null | undefined; signal?: AbortSignal } = {},
      ): Promise<Blob> {
        return transport.send({ path: `${pathOfFile(name)}/thumbnail`, query: { v: tag }, signal }, (response) => {
          expected(typeOf(response).startsWith('image/'))
          return response.blob()
        })
      },

      /** A JPEG, PNG, WebP or AVIF of at most 256 KiB. With `ifMatch`, only for the version with this ETag. */
      async put(
        name: string,
        picture: Blob | Uint8Array,
        { type, ifMatch, signal }: { type?: string; ifMatch?: string; signal?: AbortSignal } = {},
      ): Promise<void> {
        const contentType = type ?? (picture instanceof Uint8Array ? undefined : picture.type)
        if (!contentType) throw new VaultError('unsupported-media-type', 'Say which type the thumbnail has.')
        const headers = { 'content-type': contentType, 'if-match': ifMatch }
        const path = `${pathOfFile(name)}/thumbnail`
        return transport.done({ method: 'PUT', path, headers, body: picture, isRepeatable: true, signal })
      },

      async remove(name: string, { signal }: { signal?: AbortSignal } = {}): Promise<void> {
        return transport.done({ method: 'DELETE', path: `${pathOfFile(name)}/thumbnail`, signal })
      },
    },

    trash: {
      list: ({ pageSize = 500, signal }: { pageSize?: number; signal?: AbortSignal } = {}) =>
        pages<'files', TrashedFile>(transport, '/v1/trash', 'files', { limit: pageSize }, signal),

      async restore(
        id: string,
        { onConflict, signal }: { onConflict?: 'fail' | 'rename'; signal?: AbortSignal } = {},
      ): Promise<StoredFile> {
        const path = `/v1/trash/${segment(id)}/restore`
        return transport.json({ method: 'POST', path, query: { onConflict }, signal })
      },

      remove: async (id: string, { signal }: { signal?: AbortSignal } = {}): Promise<void> =>
        transport.done({ method: 'DELETE', path: `/v1/trash/${segment(id)}`, signal }),

      empty: ({ signal }: { signal?: AbortSignal } = {}): Promise<void> =>
        transport.done({ method: 'DELETE', path: '/v1/trash', signal }),
    },

    uploads: {
      /** Those that are not complete. */
      async list({ signal }: { signal?: AbortSignal } = {}): Promise<OpenUpload[]> {
        return (await transport.json<{ uploads: OpenUpload[] }>({ path: '/v1/uploads', signal })).uploads
      },

      cancel: async (id: string, { signal }: { signal?: AbortSignal } = {}): Promise<void> =>
        transport.done({ method: 'DELETE', path: `/v1/uploads/${segment(id)}`, signal }),
    },
  }
}

export type Files = ReturnType<typeof openFiles>

/** The ETag of the file's content, for `ifMatch`. */
export const etagOf = ({ sha256 }: Pick<StoredFile, 'sha256'>): string => `"${sha256}"`

/** The entries of all pages of a list. The next page is requested when it is needed. */
export async function* pages<Key extends string, Entry>(
  transport: Transport,
  path: string,
  key: Key,
  query: Record<string, string | number | undefined>,
  signal: AbortSignal | undefined,
): AsyncGenerator<Entry> {
  let cursor: string | null = null
  do {
    const page: Page<Key, Entry> = await transport.json({ path, query: { ...query, cursor }, signal })
    yield* page[key] as Entry[]
    cursor = page.nextCursor
  } while (cursor !== null)
}

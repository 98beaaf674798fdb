/** Uploads that have begun and are not complete, so that they go on after a reload, a crash or a new start of the app. */

export interface Unfinished {
  server: string
  /** The id of the upload on the server. */
  id: string
  /** The choices that it was created with. An upload with others begins again. */
  terms?: string
}

/**
 * Keys are the digest of the bytes and the wanted name. A lost entry costs the bytes that were sent, and nothing else. An upload goes
 * on if the store fails.
 */
export interface UnfinishedStore {
  get(key: string): Promise<Unfinished | null>
  set(key: string, upload: Unfinished): Promise<void>
  delete(key: string): Promise<void>
}

/** Forgets everything when the program ends. */
export function memoryStore(): UnfinishedStore {
  const uploads = new Map<string, Unfinished>()
  return {
    get: async (key) => uploads.get(key) ?? null,
    async set(key, upload) {
      uploads.set(key, upload)
    },
    async delete(key) {
      uploads.delete(key)
    },
  }
}

/** A store that fails, such as a full one, costs what a lost entry costs. */
export function forgiving(store: UnfinishedStore): UnfinishedStore {
  const attempt = async <Result>(act: () => Promise<Result>) => {
    try {
      return await act()
    } catch {
      return null
    }
  }
  return {
    get: (key) => attempt(() => store.get(key)),
    set: async (key, upload) => void (await attempt(() => store.set(key, upload))),
    delete: async (key) => void (await attempt(() => store.delete(key))),
  }
}

const OBJECTS = 'uploads'

/** For browsers. The tabs of one origin share it. */
export function indexedDbStore(database = 'minikeepsafe-uploads'): UnfinishedStore {
  let opening: Promise<IDBDatabase> | null = null
  const open = () => {
    opening ??= new Promise<IDBDatabase>((resolve, reject) => {
      const request = indexedDB.open(database, 1)
      request.onupgradeneeded = () => request.result.createObjectStore(OBJECTS)
      request.onsuccess = () => {
        // Another tab deletes the database, and would wait for this one.
        request.result.onversionchange = () => request.result.close()
        resolve(request.result)
      }
      request.onerror = () => reject(request.error)
    })
    return opening
  }
  const begin = async (mode: IDBTransactionMode) => (await open()).transaction(OBJECTS, mode)
  const run = async <Result>(mode: IDBTransactionMode, act: (uploads: IDBObjectStore) => IDBRequest<Result>) => {
    const transaction = await begin(mode).catch(() => {
      // The browser has closed the database, as Safari does in the background, or could not open it.
      opening = null
      return begin(mode)
    })
    return new Promise<Result>((resolve, reject) => {
      const request = act(transaction.objectStore(OBJECTS))
      transaction.oncomplete = () => resolve(request.result)
      transaction.onabort = () => reject(transaction.error)
    })
  }
  return {
    get: async (key) => ((await run('readonly', (uploads) => uploads.get(key))) as Unfinished | undefined) ?? null,
    set: async (key, upload) => void (await run('readwrite', (uploads) => uploads.put(upload, key))),
    delete: (key) => run('readwrite', (uploads) => uploads.delete(key)),
  }
}

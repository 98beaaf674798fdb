/**
 * Keeps the queue over a reload, in IndexedDB, with the files themselves: a page cannot open a file again that was chosen before.
 * Every entry has its user. A browser may refuse to keep anything; then the queue works without.
 */
import { memoryStore, type UnfinishedStore } from '@minikeepsafe/client'
import type { OnConflict } from './items.ts'

export interface KeptFile {
  id: string
  /** Entries come back in this order. */
  at: number
  userId: string
  /** The page that uploads it. */
  pageId: string
  name: string
  size: number
  type: string
  lastModified: number
  /** `null` if the browser refused to keep the bytes. */
  file: File | null
}

export interface KeptChoice {
  userId: string
  onConflict: Exclude<OnConflict, 'fail'> | 'skip' | null
  isPaused: boolean
}

/** The browser copies the bytes. A larger file must be chosen again, and goes on where it was. */
const MOST_BYTES = 1024 ** 3

const STORES = { files: 'id', choices: 'userId', unfinished: undefined } as const
type Store = keyof typeof STORES

let opening: Promise<IDBDatabase> | null = null

function open(): Promise<IDBDatabase> {
  opening ??= new Promise((resolve, reject) => {
    const request = indexedDB.open('minikeepsafe-queue', 1)
    request.onupgradeneeded = () => {
      for (const [name, keyPath] of Object.entries(STORES)) {
        request.result.createObjectStore(name, keyPath ? { keyPath } : {})
      }
    }
    request.onsuccess = () => {
      // Another tab deletes the database, and would wait for this one.
      request.result.onversionchange = () => request.result.close()
      resolve(request.result)
    }
    request.onerror = () => reject(request.error)
  })
  return opening
}

const begin = async (store: Store, mode: IDBTransactionMode) => (await open()).transaction(store, mode)

async function run<Result>(
  store: Store,
  mode: IDBTransactionMode,
  act: (objects: IDBObjectStore) => IDBRequest<Result> | null,
): Promise<Result | undefined> {
  const transaction = await begin(store, mode).catch(() => {
    // The browser has closed the database, as Safari does in the background, or could not open it.
    opening = null
    return begin(store, mode)
  })
  return new Promise((resolve, reject) => {
    const request = act(transaction.objectStore(store))
    transaction.oncomplete = () => resolve(request?.result)
    transaction.onabort = () => reject(transaction.error)
  })
}

/** What the browser refuses is not kept. */
const quietly = async (work: Promise<unknown>) => void (await work.catch(() => {}))

/** In their order. `isWanted` is asked again right before each one: it may be stored or cancelled by then. */
export async function keepFiles(files: KeptFile[], isWanted: (id: string) => boolean): Promise<void> {
  for (const kept of files) {
    const put = (file: File | null) =>
      run('files', 'readwrite', (objects) => (isWanted(kept.id) ? objects.put({ ...kept, file }) : null))
    await quietly(put(kept.size > MOST_BYTES ? null : kept.file).catch(() => put(null)))
  }
}

export async function keptFiles(): Promise<KeptFile[]> {
  const files = (await run('files', 'readonly', (objects) => objects.getAll()).catch(() => [])) ?? []
  return (files as KeptFile[]).sort((a, b) => a.at - b.at)
}

export const forgetFile = (id: string): Promise<void> =>
  quietly(run('files', 'readwrite', (objects) => objects.delete(id)))

/** Moves entries to this page: it uploads them from now on. */
export async function adopt(files: KeptFile[], pageId: string): Promise<void> {
  for (const kept of files) await quietly(run('files', 'readwrite', (objects) => objects.put({ ...kept, pageId })))
}

export const keepChoice = (choice: KeptChoice): Promise<void> =>
  quietly(run('choices', 'readwrite', (objects) => objects.put(choice)))

export async function keptChoice(userId: string): Promise<KeptChoice | undefined> {
  return run('choices', 'readonly', (objects) => objects.get(userId)).catch(() => undefined)
}

/** Everything of every user. */
export async function forgetAll(): Promise<void> {
  const names = Object.keys(STORES) as Store[]
  await Promise.all(names.map((store) => quietly(run(store, 'readwrite', (objects) => objects.clear()))))
}

/** For the client: which uploads have begun. If the browser keeps nothing, they go on until the page is closed. */
export function unfinishedUploads(): UnfinishedStore {
  const memory = memoryStore()
  return {
    async get(key) {
      const kept = run('unfinished', 'readonly', (objects) => objects.get(key)).catch(() => undefined)
      return (await memory.get(key)) ?? (await kept) ?? null
    },
    async set(key, upload) {
      await memory.set(key, upload)
      await quietly(run('unfinished', 'readwrite', (objects) => objects.put(upload, key)))
    },
    async delete(key) {
      await memory.delete(key)
      await quietly(run('unfinished', 'readwrite', (objects) => objects.delete(key)))
    },
  }
}

/** Assembles the client. `index.ts` and `node.ts` give it what their platform has. */
import { openAccount } from './account.ts'
import { type Retry, USUAL_RETRY } from './backoff.ts'
import { openDownload } from './download.ts'
import { openFiles } from './files.ts'
import { openFreeSpaceCheck } from './free-space.ts'
import type { Hashing } from './hashing.ts'
import type { Hash } from './sha256.ts'
import { memoryToken, type TokenStore } from './tokens.ts'
import { openTransport } from './transport.ts'
import { forgiving, memoryStore, type UnfinishedStore } from './unfinished.ts'
import { openUpload } from './upload.ts'
import { openUrls } from './urls.ts'

export interface ClientOptions {
  /** The address of the server, such as `https://vault.example.org`. */
  baseUrl: string
  /** Keeps the token of the session; by default in memory. A string is a token that does not change. */
  token?: TokenStore | string
  /**
   * For a page that relies on a cookie, which is of all tabs: the `userId` that it shows. Once another user is signed in, its requests
   * are `unauthorized`. Calls that are under way when it changes throw an `AbortError`. `null` for none.
   */
  user?: () => string | null
  fetch?: typeof globalThis.fetch
  /** Keeps a record of uploads that are not complete; by default in memory. */
  unfinished?: UnfinishedStore
  /** SHA-256; by default the platform's or one in TypeScript. On React Native a native one is much faster. */
  createHash?: () => Hash
  retry?: Partial<Retry>
  /** How long a request may wait for a response, or a download for the next bytes. A minute by default. */
  timeoutMs?: number
}

const USUAL_TIMEOUT_MS = 60_000

export function createClientOn(platform: Hashing, options: ClientOptions) {
  const { baseUrl, token = memoryToken(), unfinished = memoryStore() } = options
  const hashing = options.createHash ? { createHash: options.createHash } : platform
  const transport = openTransport({
    server: baseUrl.replace(/\/+$/, ''),
    token: typeof token === 'string' ? memoryToken(token) : token,
    user: options.user ?? (() => null),
    fetch: options.fetch ?? ((input, init) => globalThis.fetch(input, init)),
    retry: { ...USUAL_RETRY, ...options.retry },
    timeoutMs: options.timeoutMs ?? USUAL_TIMEOUT_MS,
  })
  const files = openFiles(transport)
  return {
    ...openAccount(transport),
    ...files,
    upload: openUpload(transport, files, forgiving(unfinished), hashing),
    download: openDownload(transport, hashing.createHash),
    freeSpaceCheck: openFreeSpaceCheck(files, hashing),
    urls: openUrls(transport.server),
  }
}

export type Client = ReturnType<typeof createClientOn>

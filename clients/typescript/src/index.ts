/** The client for browsers, React Native and other platforms with `fetch`. */
import { type Client, type ClientOptions, createClientOn } from './client.ts'
import { sha256 } from './sha256.ts'

export * from './common.ts'

export function createClient(options: ClientOptions): Client {
  // WebCrypto is there on secure origins only.
  const subtle = globalThis.crypto?.subtle
  const digest = async (bytes: Uint8Array) => new Uint8Array(await subtle.digest('SHA-256', bytes as BufferSource))
  return createClientOn({ createHash: sha256, digest: subtle && digest }, options)
}

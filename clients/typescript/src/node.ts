/** The client for Node, with its SHA-256, files by path, and a store of unfinished uploads in a folder. */
import { type Client, type ClientOptions, createClientOn } from './client.ts'
import { nodeSha256 } from './node/hash.ts'

export * from './common.ts'
export { fileSource } from './node/file-source.ts'
export { folderStore } from './node/folder-store.ts'

export function createClient(options: ClientOptions): Client {
  return createClientOn({ createHash: nodeSha256 }, options)
}

/** The exports that all platforms share. */
export type { SignIn } from './account.ts'
export type { Retry } from './backoff.ts'
export type { Client, ClientOptions } from './client.ts'
export type { Download, DownloadOptions } from './download.ts'
export { type ErrorCode, isVaultError, type Problem, VaultError } from './errors.ts'
export {
  type Changes,
  type ChangesOptions,
  etagOf,
  type ListOptions,
  type ListPage,
  type PageOptions,
} from './files.ts'
export type { FreeSpaceOptions, Judged, LocalFile } from './free-space.ts'
export type { components, operations, paths } from './generated.ts'
export { vaultName } from './names.ts'
export { newDeviceId, type Pairing, pairingText, parsePairing } from './pairing.ts'
export { type Hash, sha256 } from './sha256.ts'
export type { Source, Uploadable } from './sources.ts'
export { memoryToken, type TokenStore } from './tokens.ts'
export { indexedDbStore, memoryStore, type Unfinished, type UnfinishedStore } from './unfinished.ts'
export type { UploadOptions, UploadProgress, UploadResult } from './upload.ts'
export type * from './wire.ts'

/** Converts records of the vault to the JSON of responses. */
import type { Static } from '@sinclair/typebox'
import type { ListedEvent } from '../ports/accounts.ts'
import type { ListedUpload } from '../ports/uploads.ts'
import type { Me } from '../schemas/account.ts'
import type { ActivityList } from '../schemas/activity.ts'
import type { ChangeList } from '../schemas/changes.ts'
import { timestamp } from '../schemas/common.ts'
import type { StoredFile as FileShape } from '../schemas/files.ts'
import type { LookupResult } from '../schemas/lookup.ts'
import type { TrashList } from '../schemas/trash.ts'
import type { UploadList } from '../schemas/uploads.ts'
import type { Account } from '../vault/accounts/account.ts'
import type { FileChange } from '../vault/files/change-feed.ts'
import type { ExportedFile } from '../vault/files/export.ts'
import type { Found } from '../vault/files/lookup.ts'
import type { StoredFile } from '../vault/files/stored-file.ts'
import type { TrashedFile } from '../vault/files/trash.ts'
import { presentTaken } from './taken.ts'

/** Copies each field by name: object spread takes ten times as long, and a page has up to 1,000 files. */
export function presentFile(file: StoredFile): Static<typeof FileShape> {
  const { id, name, sizeBytes, contentType, sha256, createdAt, updatedAt, thumbnail } = file
  const created = timestamp(createdAt)
  return {
    id,
    name,
    size: sizeBytes,
    contentType,
    sha256,
    createdAt: created,
    updatedAt: updatedAt === createdAt ? created : timestamp(updatedAt),
    takenAt: presentTaken(file),
    thumbnail,
  }
}

export function presentChange(change: FileChange): Static<typeof ChangeList>['changes'][number] {
  if ('file' in change) return { type: 'file', file: presentFile(change.file) }
  return { type: 'gone', id: change.gone.id, at: timestamp(change.gone.at) }
}

export function presentTrashed(file: TrashedFile): Static<typeof TrashList>['files'][number] {
  return { ...presentFile(file), deletedAt: timestamp(file.deletedAt), expiresAt: timestamp(file.expiresAt) }
}

export function presentFound(found: Found): Static<typeof LookupResult>['found'][number] {
  const { sha256, id, name, sizeBytes, state, verifiedAt } = found
  return { sha256, id, name, size: sizeBytes, state, verifiedAt: verifiedAt === null ? null : timestamp(verifiedAt) }
}

export function presentUpload(upload: ListedUpload, expiresAt: number): Static<typeof UploadList>['uploads'][number] {
  const { id, name, contentType, sizeBytes, offset, createdAt } = upload
  return {
    ...{ id, name, contentType, size: sizeBytes, offset },
    createdAt: timestamp(createdAt),
    expiresAt: timestamp(expiresAt),
  }
}

export function presentAccount({ id, name, email, createdAt, usage, quota }: Account): Static<typeof Me> {
  return { userId: id, name, email, createdAt: timestamp(createdAt), usage, quota }
}

export function presentEvent({ at, deviceName, ...event }: ListedEvent): Static<typeof ActivityList>['events'][number] {
  return { ...event, at: timestamp(at), ...(deviceName !== null && { deviceName }) }
}

export function presentExported(file: ExportedFile['file'], path: string) {
  const deletedAt = file.deletedAt === null ? null : timestamp(file.deletedAt)
  return { ...presentFile(file), deletedAt, path }
}

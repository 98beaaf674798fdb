/** Rows for the contracts of databases. */
import { randomBytes } from 'node:crypto'
import type { ActivityEvent, Keep, KeySlot } from '../../src/ports/accounts.ts'
import type { FileQuery, FileRepository, SealedFile } from '../../src/ports/files.ts'
import type { Ports } from '../../src/ports/ports.ts'
import type { Redemption, SessionRepository } from '../../src/ports/sign-in.ts'
import { sortKeyOf } from '../../src/vault/files/stored-file.ts'

export type Repositories = Pick<
  Ports,
  | 'users'
  | 'keySlots'
  | 'sessions'
  | 'pinLedger'
  | 'activity'
  | 'files'
  | 'trash'
  | 'thumbnails'
  | 'uploads'
  | 'changes'
  | 'ledger'
>

export const random = () => randomBytes(8).toString('hex')
export const T = Date.UTC(2026, 10, 22)

/** Each event is a separate entry, and no entry is evicted. */
export const EACH: Keep = { class: 'routine', most: 1_000_000, fold: null }
export const BOUNDS: Redemption['bounds'] = {
  sessions: 1000,
  devices: 1000,
  newDevice: { ...EACH, class: 'security' },
  signIn: EACH,
}

/** Files of one owner that were deleted at `times`. */
export async function discarded(make: () => Promise<Repositories>, times: number[]) {
  const repositories = await withOwners(make)
  const discards = times.map((_, n) => newFile(`file-${n}`))
  for (const [n, file] of discards.entries()) {
    await repositories.files.commit(repositories.ana, file, null, null)
    await repositories.files.discard(repositories.ana, file, times[n] ?? T)
  }
  return { ...repositories, discards }
}

export async function withOwners(make: () => Promise<Repositories>) {
  const repositories = await make()
  await repositories.ledger.openRun('run', T, [])
  const ana = (await opened(repositories.sessions)).user.id
  const ben = (await opened(repositories.sessions)).user.id
  return { ...repositories, ana, ben }
}

export async function opened(sessions: SessionRepository) {
  const redemption = forNewUser()
  await sessions.redeem(redemption)
  return redemption
}

export function forNewUser(fields: { email?: string; slot?: KeySlot } = {}, deviceId?: string) {
  const user = {
    id: random(),
    name: 'Ada',
    email: `${random()}@example.org`,
    confirmedBy: 'response' as const,
    createdAt: T,
    slot: newSlot('key'),
    ...fields,
  }
  return {
    pinId: random(),
    session: newSession(deviceId),
    user,
    givenBack: null,
    event: newEvent(),
    bounds: BOUNDS,
  } satisfies Redemption
}

export function forUser(id: string, fields: Partial<Redemption> = {}): Redemption {
  const user = { id, vouchedBy: null }
  return { pinId: random(), session: newSession(), user, givenBack: null, event: newEvent(), bounds: BOUNDS, ...fields }
}

export function newEvent(fields: Partial<ActivityEvent> = {}): ActivityEvent {
  const nobody = { sessionId: null, deviceId: null, fileId: null }
  return { id: random(), kind: 'sign-in', at: T, address: '192.0.2.1', userAgent: 'test', ...nobody, ...fields }
}

export function newSession(deviceId = `device-${random()}`) {
  return { id: random(), deviceId, deviceName: null as string | null, tokenHash: randomBytes(32), createdAt: T }
}

export function newSlot(keyId: string): KeySlot {
  return { kind: 'server', keyId, sealed: randomBytes(61) }
}

export function sized(name: string, sizeBytes: number): WholeFile {
  return { ...newFile(name), sizeBytes }
}

/** A file that arrived in one piece. */
export type WholeFile = SealedFile & { blob: string }

/** Optional columns without a value. */
export const UNDATED = { takenAt: null, takenOffset: 0, verifiedAt: null, thumbnail: null, thumbnailBytes: 0 }

export function newFile(name: string): WholeFile & { tag: Buffer } {
  return {
    id: random(),
    name,
    sizeBytes: 2 ** 40,
    contentType: 'image/jpeg',
    createdAt: T,
    updatedAt: T,
    namedAt: T,
    version: random(),
    blob: `run/${random()}`,
    seal: randomBytes(105),
    tag: randomBytes(16),
    ...UNDATED,
  }
}

/** All names of a list, read in pages of `limit`. */
export async function names(files: FileRepository, owner: string, query: Partial<FileQuery>): Promise<string[]> {
  const whole: FileQuery = { prefix: '', sort: 'name', order: 'asc', after: null, limit: 100, ...query }
  const found: SealedFile[] = []
  for (;;) {
    const page = await files.list(owner, whole)
    found.push(...page)
    const last = page.at(-1)
    if (!last || page.length < whole.limit) return found.map(({ name }) => name)
    whole.after = { key: sortKeyOf(last, whole.sort), id: last.id }
  }
}

/** The live file that has this name, with the blob of its first part. */
export async function standing(files: FileRepository, owner: string, name: string): Promise<WholeFile | null> {
  const found = await files.snapshot(owner, name)
  return found?.file && found.firstPart ? { ...found.file, blob: found.firstPart.blob } : null
}

/** The row of a file, without its part. */
export function rowOf({ blob: _blob, ...row }: SealedFile & { blob: string | null }): SealedFile {
  return row
}

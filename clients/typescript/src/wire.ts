/** The objects that the server sends, by their names in its OpenAPI document. */
import type { components } from './generated.ts'

type Schemas = components['schemas']

export type StoredFile = Schemas['StoredFile']
export type TrashedFile = Schemas['TrashedFile']
/** Its `cursor` is one for `page({ sort: 'takenAt', order: 'desc' })`. */
export type Month = Schemas['Month']
export type OpenUpload = Schemas['OpenUpload']
export type Session = Schemas['Session']
/** With `cookie`, the browser keeps the token and no script sees it. */
export type OpenedSession = Schemas['OpenedSession']
export type Account = Schemas['Account']
export type ActivityEvent = Schemas['ActivityEvent']
export type Registered = Schemas['RegisteredWithPin'] | Schemas['SentPin']
export type ShownPin = Schemas['ShownPin']
export type SentPin = Schemas['SentPin']

/** A file or an entry of the trash with a certain digest. */
export type FoundFile = Schemas['FoundFile']

/** `file` replaces the file of its id, or adds it. `gone` removes the file of its id. */
export type Change = { type: 'file'; file: StoredFile } | { type: 'gone'; id: string; at: string }

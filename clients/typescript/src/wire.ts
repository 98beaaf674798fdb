/** The objects that the server sends, by their names in its OpenAPI document. */
import type { components } from './generated.ts'

type Schemas = components['schemas']

export type StoredFile = Schemas['StoredFile']
export type TrashedFile = Schemas['TrashedFile']
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
export interface FoundFile {
  sha256: string
  id: string
  name: string
  size: number
  state: 'live' | 'trash'
  /** When all its bytes were last read back and opened; `null` for never. */
  verifiedAt: string | null
}

/** `file` replaces the file of its id, or adds it. `gone` removes the file of its id. */
export type Change = { type: 'file'; file: StoredFile } | { type: 'gone'; id: string; at: string }

/** The parts of the vault that other parts share. */
import type { Ports, VaultRules } from '../ports/ports.ts'
import type { Accounts } from './accounts/account.ts'
import type { Activity } from './accounts/activity.ts'
import type { Aside } from './aside.ts'
import type { Background, Repeat } from './background.ts'
import type { Keyring } from './crypto/keyring.ts'
import type { Observe } from './events.ts'
import type { Admission } from './files/admission.ts'
import type { DoubtfulBlobs } from './files/doubtful-blobs.ts'
import type { Collect } from './files/garbage.ts'
import type { Placing } from './files/placing.ts'
import type { ReadBacks } from './files/read-backs.ts'
import type { UnsealPage } from './files/stored-file.ts'
import type { Trash } from './files/trash.ts'
import type { CountUnrecorded } from './files/unrecorded.ts'
import type { Notices } from './sign-in/notices.ts'
import type { Sessions } from './sign-in/sessions.ts'
import type { Slots } from './slots.ts'
import type { Turns } from './turns.ts'
import type { Uploads } from './uploads/uploads.ts'

export interface VaultContext {
  ports: Ports
  rules: VaultRules
  keys: Keyring
  background: Background
  turns: Turns
  /** For the pieces of uploads. */
  receivingTurns: Turns
  /** For blobs whose last byte is here, on a disk. */
  storingSlots: Slots
  /** For the blobs of downloads. */
  openingTurns: Turns
  repeat: Repeat
  observe: Observe
  aside: Aside
  admission: Admission
  doubtfulBlobs: DoubtfulBlobs
  unrecorded: CountUnrecorded
  collect: Collect
  unsealPage: UnsealPage
  readBacks: ReadBacks
  activity: Activity
  notices: Notices
  sessions: Sessions
  trash: Trash
  placing: Placing
  uploads: Pick<Uploads, 'expire'>
  accounts: Accounts
}

/** What one part of the vault needs: ports by their names, and shared parts. */
export type Needs<Port extends keyof Ports, Shared extends Exclude<keyof VaultContext, 'ports'> = never> = {
  ports: Pick<Ports, Port>
} & Pick<VaultContext, Shared>

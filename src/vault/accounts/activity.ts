/** The activity list of an account. Each of its events is also logged for an audit. */
import type {
  ActivityEvent,
  ActivityKind,
  ActivityQuery,
  Caller,
  Fold,
  Keep,
  ListedEvent,
} from '../../ports/accounts.ts'
import type { Session } from '../../ports/sign-in.ts'
import type { Needs } from '../context.ts'
import { deviceNames } from '../crypto/secrets.ts'
import { damageIn } from '../files/damage.ts'

/** An event that anybody can cause without end is one entry for this time, with a count. */
const FOLD_MS = 60 * 60 * 1000
/**
 * A client cannot add entries without end from ever more addresses either: events of further addresses are counted with
 * the last of these.
 */
const MOST_ADDRESSES = 10
/** The maximum of entries of each class for a user. */
const MOST_EVENTS = 5000
/** Events that warn an owner of strangers. Events of other kinds never evict them. */
const SECURITY: ActivityKind[] = ['new-device', 'wrong-pin', 'locked']
/** Each of these events is an entry of its own: pauses become ever rarer, and devices are few. */
const SINGLE: ActivityKind[] = ['new-device', 'locked']
/** Entries that are deleted in one transaction. Other requests wait for it. */
const BATCH = 200

/** The subject of an event. The default for session and device is the caller's own. */
export interface Involved {
  sessionId?: string
  deviceId?: string
  fileId?: string
  /** When it happened, if it is noted later. */
  at?: number
}

/** Notes an event in the background. */
export type Note = (owner: string, kind: ActivityKind, caller: Caller, involved?: Involved) => void

export interface Activity {
  note: Note
  eventOf(kind: ActivityKind, caller: Caller, involved?: Involved): ActivityEvent
  keepOf(kind: ActivityKind, at: number): Keep
  /** Notes damage of a file of the caller, if the error is damage. */
  noteDamage(error: unknown, caller: Caller): void
  /**
   * One page of the activity list of the session's user, the latest first. Devices other than the session's have
   * labels.
   */
  list(session: Session, page: Pick<ActivityQuery, 'after' | 'limit'>): Promise<ListedEvent[]>
  /** The same work as a note, for no user. */
  noteNothing(kind: ActivityKind, caller: Caller): void
  /** Deletes entries that are too old to be shown. */
  expire(): Promise<void>
}

export function openActivity({
  ports: { activity, pinLedger, clock, chance, audit },
  rules,
  keys,
  background,
  repeat,
  turns,
  observe,
}: Needs<
  'activity' | 'pinLedger' | 'clock' | 'chance' | 'audit',
  'rules' | 'keys' | 'background' | 'repeat' | 'turns' | 'observe'
>): Activity {
  const note: Note = (owner, kind, caller, involved) => {
    const event = eventOf(kind, caller, involved)
    audit(kind, { caller, user: owner, session: event.sessionId, file: event.fileId })
    if (rules.readOnly) return
    background('writing an activity entry', activity.note(owner, event, keepOf(kind, event.at)))
  }

  return {
    note,
    eventOf,
    keepOf,

    noteDamage(error, caller) {
      const damage = damageIn(error)
      if (damage) observe({ kind: 'damage', found: 'request' })
      if (damage && caller.session) note(caller.session.userId, 'damaged-read', caller, { fileId: damage.fileId })
    },

    async list({ userId, deviceId }, { after, limit }) {
      const nameOf = deviceNames(await keys.vaultKey(userId), deviceId)
      await turns.next(userId)
      const events = await activity.list(userId, { since: clock() - rules.activityMs, after, limit })
      return events.map((event) => ({ ...event, deviceId: event.deviceId && nameOf(event.deviceId) }))
    },

    noteNothing(kind, caller) {
      audit(kind, { caller })
      if (rules.readOnly) return
      background('writing in place of an activity entry', pinLedger.noteNothing(clock()))
    },

    async expire() {
      await repeat(async () => (await activity.expire(clock() - rules.activityMs, BATCH)) === BATCH)
    },
  }

  function eventOf(kind: ActivityKind, caller: Caller, involved: Involved = {}): ActivityEvent {
    const { address, userAgent, session } = caller
    const { sessionId = session?.id ?? null, deviceId = session?.deviceId ?? null, fileId = null } = involved
    const { at = clock() } = involved
    return { id: chance.id(), kind, at, address, userAgent, sessionId, deviceId, fileId }
  }
}

function keepOf(kind: ActivityKind, at: number): Keep {
  // An owner wants to know each damaged file.
  const file = kind === 'damaged-read' ? 'same' : 'any'
  const fold: Fold = { since: at - FOLD_MS, mostAddresses: MOST_ADDRESSES, file }
  return {
    class: SECURITY.includes(kind) ? 'security' : 'routine',
    most: MOST_EVENTS,
    fold: SINGLE.includes(kind) ? null : fold,
  }
}

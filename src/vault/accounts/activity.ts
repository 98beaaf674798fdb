/** What happened to an account, for its owner to read. */
import type { ActivityEvent, ActivityKind, ActivityQuery, Caller, Fold, Keep } from '../../ports/accounts.ts'
import type { Session } from '../../ports/sign-in.ts'
import type { Needs } from '../context.ts'
import { deviceNames } from '../crypto/secrets.ts'
import { damageIn } from '../files/damage.ts'

/** What anybody can cause any number of times is one entry in so long a time, with a count. */
const FOLD_MS = 60 * 60 * 1000
/** Nor can they have any number of entries by coming from ever more addresses: later ones are counted with the last of so many. */
const MOST_ADDRESSES = 10
/** So many entries of each class are kept for a user. */
const MOST_EVENTS = 5000
/** What tells an owner of strangers: nothing that a client does pushes it out. */
const SECURITY: ActivityKind[] = ['new-device', 'wrong-pin', 'locked']
/** Each of these is an entry of its own: pauses come ever more seldom, and devices are few. */
const SINGLE: ActivityKind[] = ['new-device', 'locked']
/** Entries that are forgotten in one act: other requests wait for it. */
const BATCH = 200

/** What an event is about. Where it names no session and no device, they are the caller's own. */
export interface Involved {
  sessionId?: string
  deviceId?: string
  fileId?: string
  /** When, where it is noted later than it happened. */
  at?: number
}

/** Notes an event without keeping anybody waiting. */
export type Note = (owner: string, kind: ActivityKind, caller: Caller, involved?: Involved) => void

export interface Activity {
  note: Note
  eventOf(kind: ActivityKind, caller: Caller, involved?: Involved): ActivityEvent
  keepOf(kind: ActivityKind, at: number): Keep
  /** Notes that a file of the caller's was found damaged, where that is what went wrong. */
  noteDamage(error: unknown, caller: Caller): void
  /** One page of what happened to the session's user, the last first. Other devices than its own have labels. */
  list(session: Session, page: Pick<ActivityQuery, 'after' | 'limit'>): Promise<(ActivityEvent & { count: number })[]>
  /** As much work as a note, for nobody. */
  noteNothing(): void
  /** Forgets what is too old to be read. */
  expire(): Promise<void>
}

export function openActivity({
  ports: { activity, pinLedger, clock, chance },
  rules,
  keys,
  background,
}: Needs<'activity' | 'pinLedger' | 'clock' | 'chance', 'rules' | 'keys' | 'background'>): Activity {
  const note: Note = (owner, kind, caller, involved) => {
    if (rules.readOnly) return
    const event = eventOf(kind, caller, involved)
    background('noting what happened to an account', activity.note(owner, event, keepOf(kind, event.at)))
  }

  return {
    note,
    eventOf,
    keepOf,

    noteDamage(error, caller) {
      const damage = damageIn(error)
      if (damage && caller.session) note(caller.session.userId, 'damaged-read', caller, { fileId: damage.fileId })
    },

    async list({ userId, deviceId }, { after, limit }) {
      const nameOf = deviceNames(await keys.vaultKey(userId), deviceId)
      const events = await activity.list(userId, { since: clock() - rules.activityMs, after, limit })
      return events.map((event) => ({ ...event, deviceId: event.deviceId && nameOf(event.deviceId) }))
    },

    noteNothing() {
      if (rules.readOnly) return
      background('noting what happened to nobody', pinLedger.noteNothing(clock()))
    },

    async expire() {
      while ((await activity.expire(clock() - rules.activityMs, BATCH)) === BATCH);
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
  // Of damage an owner wants to know each file.
  const file = kind === 'damaged-read' ? 'same' : 'any'
  const fold: Fold = { since: at - FOLD_MS, mostAddresses: MOST_ADDRESSES, file }
  return {
    class: SECURITY.includes(kind) ? 'security' : 'routine',
    most: MOST_EVENTS,
    fold: SINGLE.includes(kind) ? null : fold,
  }
}

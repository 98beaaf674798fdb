/** What happened to an account, for its owner to read. */
import type { ActivityEvent, ActivityKind, ActivityQuery, Caller, Notice, Ports, User, VaultRules } from '../ports.ts'
import type { Background } from './background.ts'
import { damageIn } from './damage.ts'

/** What strangers can cause any number of times is one entry in so long a time, with a count. */
const FOLD_MS = 60 * 60 * 1000
/** Nor can they have any number of entries by coming from ever more addresses: later ones are counted with the last of so many. */
const MOST_ADDRESSES = 10
const FOLDED: ActivityKind[] = ['wrong-pin', 'damaged-read']
/** Entries that are forgotten in one act: other requests wait for it. */
const BATCH = 500

/** What an event is about. Where it names no session and no device, they are the caller's own. */
export interface Involved {
  sessionId?: string
  deviceId?: string
  fileId?: string
}

/** Notes an event without keeping anybody waiting. */
export type Note = (owner: string, kind: ActivityKind, caller: Caller, involved?: Involved) => void

export function activity(ports: Ports, rules: VaultRules, background: Background) {
  const { activity, delivery, clock, chance } = ports
  const note: Note = (owner, kind, caller, involved) => {
    if (rules.readOnly) return
    const event = eventOf(kind, caller, involved)
    const alike = { since: event.at - FOLD_MS, most: MOST_ADDRESSES }
    const noted = FOLDED.includes(kind) ? activity.fold(owner, event, alike) : activity.add(owner, event)
    background('noting what happened to an account', noted)
  }

  return {
    note,
    eventOf,

    /** Notes that a file of the caller's was found damaged, where that is what went wrong. */
    noteDamage(error: unknown, caller: Caller): void {
      const damage = damageIn(error)
      if (damage && caller.session) note(caller.session.userId, 'damaged-read', caller, { fileId: damage.fileId })
    },

    /** One page of what happened, the last first. */
    list(owner: string, { after, limit }: Pick<ActivityQuery, 'after' | 'limit'>) {
      return activity.list(owner, { since: clock() - rules.activityMs, after, limit })
    },

    /** Writes to the owner, if the address was proven by mail and mail is what this server sends. */
    warn(user: User, event: Notice['event'], { address, userAgent, requestId }: Caller): void {
      if (delivery.mode !== 'email' || user.confirmedBy !== 'email') return
      const notice = { email: user.email, event, at: clock(), address, userAgent, requestId }
      background('telling the owner of an account', delivery.notify(notice))
    },

    /** Forgets what is too old to be read. */
    async expire(): Promise<void> {
      while ((await activity.expire(clock() - rules.activityMs, BATCH)) === BATCH);
    },
  }

  function eventOf(kind: ActivityKind, caller: Caller, involved: Involved = {}): ActivityEvent {
    const { address, userAgent, session } = caller
    const { sessionId = session?.id ?? null, deviceId = session?.deviceId ?? null, fileId = null } = involved
    return { id: chance.id(), kind, at: clock(), address, userAgent, sessionId, deviceId, fileId }
  }
}

/** The changes feed: a client that applies the changes in their order has exactly the live files. */
import type { ChangeQuery } from '../../ports/changes.ts'
import type { SealedFile } from '../../ports/files.ts'
import { problems } from '../../problems.ts'
import type { Needs } from '../context.ts'
import type { StoredFile } from './stored-file.ts'
import { openWaiters } from './waiters.ts'

/** Changes that are read in one piece. Other requests wait for it. */
const PIECE = 250
/** Changes that are forgotten in one transaction. Other requests wait for it. */
const BATCH = 100
/** Changes are kept for this time after their cursors have expired, because the clocks of the servers differ. */
const SPARE_MS = 60 * 60 * 1000

/** The position of a client in the feed: the content of its cursor. */
export interface FeedPosition {
  /** The user id. Each user has a separate sequence of numbers, also a user who registers again. */
  owner: string
  history: string
  /** The number of the last change that the client has. */
  revision: number
  /** The number of the last change when the client began. It does not need earlier changes of files that are gone. */
  begunAt: number
  /** When the position was given out. */
  givenAt: number
}

export type FileChange = { revision: number; file: StoredFile } | { revision: number; gone: { id: string; at: number } }

export interface ChangeFeed {
  /** At most `limit` changes after the position; `null` begins with everything that is live. `cursor-expired` if some are lost. */
  read(
    owner: string,
    position: FeedPosition | null,
    limit: number,
  ): Promise<{ changes: FileChange[]; next: FeedPosition; more: boolean }>
  /**
   * Resolves once there is a change after the position, or with `null` any live file; at `left`; when the vault closes; or once
   * `goesOn` is false: it is asked before each wait, and after each notice about the owner. `cursor-expired` as for `read`.
   */
  wait(owner: string, position: FeedPosition | null, left: AbortSignal, goesOn: () => Promise<boolean>): Promise<void>
  /** Ends all waits. */
  stopWaiting(): void
}

export function openChangeFeed({
  ports: { changes, clock, changeNotices },
  rules,
  keys,
  unsealPage,
  turns,
}: Needs<'changes' | 'clock' | 'changeNotices', 'rules' | 'keys' | 'unsealPage' | 'turns'>): ChangeFeed {
  const waiters = openWaiters(changeNotices)

  return {
    async read(owner, position, limit) {
      const vaultKey = await keys.vaultKey(owner)
      const { history, latest, begunAt, found } = await pieces(owner, position, limit)
      const page = found.slice(0, limit)
      const files = page.flatMap((change) => ('file' in change ? [change.file] : []))
      const opened = (await unsealPage(vaultKey, owner, files)).values()
      const more = found.length > limit
      return {
        changes: page.map((change) =>
          'file' in change ? { revision: change.revision, file: opened.next().value as StoredFile } : change,
        ),
        next: { owner, history, revision: more ? (page.at(-1)?.revision ?? 0) : latest, begunAt, givenAt: clock() },
        more,
      }
    },

    async wait(owner, position, left, goesOn) {
      for (;;) {
        // Before the position is compared, so that no change is missed in between.
        const notice = waiters.noticeFor(owner, left)
        try {
          const found = await pieces(owner, position, 0)
          if (found.found.length > 0 || notice.isLast() || !(await goesOn())) return
          await notice.heard
          if (notice.isLast()) return
        } finally {
          notice.end()
        }
      }
    },

    stopWaiting: waiters.stop,
  }

  /** One change more than `limit`, if there are more. */
  async function pieces(owner: string, position: FeedPosition | null, limit: number) {
    const found: ({ revision: number; file: SealedFile } | Extract<FileChange, { gone: unknown }>)[] = []
    let begunAt = position?.begunAt
    const query: ChangeQuery = {
      after: position?.revision ?? 0,
      goneAfter: begunAt ?? Number.MAX_SAFE_INTEGER,
      limit: 0,
    }
    for (;;) {
      query.limit = Math.min(PIECE, limit + 1 - found.length)
      await turns.next(owner)
      const piece = await changes.page(owner, query)
      if (!piece) throw problems.unauthorized()
      refuseLost(owner, position, piece)
      begunAt ??= piece.latest
      query.goneAfter = begunAt
      found.push(...piece.changes)
      const last = piece.changes.at(-1)
      if (!last || piece.changes.length < query.limit || found.length > limit) return { ...piece, begunAt, found }
      query.after = last.revision
    }
  }

  function refuseLost(
    owner: string,
    position: FeedPosition | null,
    { history, latest, forgotten }: { history: string; latest: number; forgotten: number },
  ): void {
    if (!position) return
    const { revision, begunAt, givenAt } = position
    const isOver = clock() - givenAt > rules.changesMs
    // After a restored backup the client has changes that the server does not.
    const isOther = position.owner !== owner || position.history !== history || Math.max(revision, begunAt) > latest
    if (isOver || isOther || Math.max(revision, begunAt) < forgotten) throw problems.cursorExpired()
  }
}

/** Forgets changes that no cursor needs any more. */
export async function forgetChanges({
  ports: { changes, clock },
  rules: { changesMs },
  repeat,
}: Needs<'changes' | 'clock', 'rules' | 'repeat'>): Promise<void> {
  const until = clock() - changesMs - SPARE_MS
  await repeat(async () => (await changes.forget(until, BATCH)) === BATCH)
}

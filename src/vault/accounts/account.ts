/** A user's own account: its description, its usage, its removal. */
import type { Caller, Quota, Usage, User } from '../../ports/accounts.ts'
import { problems } from '../../problems.ts'
import type { Needs } from '../context.ts'

/** Rows that are removed in one transaction. Other requests wait for it. */
const BATCH = 50
/** Batches for which the response waits. A user with very many files gets it earlier. */
const BATCHES_AT_ONCE = 20

export interface Account extends User {
  usage: Usage
  quota: Quota
}

export interface Accounts {
  describe(owner: string): Promise<Account>
  /**
   * Removes an account. First one transaction removes the user with every session and key, so nothing opens any more.
   * Then the files are removed, those beyond the first 1,000 in the background; after a crash the sweeper finishes that.
   * `unauthorized` if there is no such user.
   */
  remove(owner: string, caller: Caller): Promise<void>
  /** Finishes the removals that were interrupted. */
  finishRemovals(): Promise<void>
}

export function openAccounts({
  ports: { users, audit },
  rules,
  background,
  repeat,
  collect,
  trash,
}: Needs<'users' | 'audit', 'rules' | 'background' | 'repeat' | 'collect' | 'trash'>): Accounts {
  return {
    async describe(owner) {
      const user = await users.find(owner)
      if (!user) throw problems.unauthorized()
      await trash.expireOf(owner)
      return { ...user, usage: await users.usage(owner), quota: rules.quota }
    },

    async remove(owner, caller) {
      if (!(await users.remove(owner))) throw problems.unauthorized()
      audit('account-deleted', { caller, user: owner, session: caller.session?.id ?? null })
      const first = clearOutFirst(owner)
      background(
        'removing the files of a deleted user',
        first.then(() => finishRemoval(owner)),
      )
      await first
    },

    async finishRemovals() {
      for (const owner of await users.departed(BATCH)) await finishRemoval(owner)
    },
  }

  async function clearOutFirst(owner: string): Promise<void> {
    for (let n = 0; n < BATCHES_AT_ONCE; n += 1) if (!(await clearOut(owner))) return
  }

  /** `forget` is false while another process reads the database. Then the sweeper retries it. */
  async function finishRemoval(owner: string): Promise<void> {
    if (await repeat(() => clearOut(owner))) await users.forget(owner)
  }

  /** False once nothing is left. */
  async function clearOut(owner: string): Promise<boolean> {
    const { removed, versions } = await users.clearOut(owner, BATCH)
    await collect(owner, versions)
    return removed === BATCH
  }
}

/** A user's own account: who it is, what it uses, and its end. */
import type { Quota, Usage, User } from '../../ports/accounts.ts'
import { problems } from '../../problems.ts'
import type { Needs } from '../context.ts'

/** Files that are removed in one act: other requests wait for it. */
const BATCH = 100

export interface Account extends User {
  usage: Usage
  quota: Quota
}

export interface Accounts {
  describe(owner: string): Promise<Account>
  /**
   * The end of an account: first, in one act, the user with every session and key, so that nothing opens any more; then
   * every file. What a crash leaves of the second is the sweeper's. `unauthorized` where there is no such user.
   */
  remove(owner: string): Promise<void>
  /** Finishes the removals that were broken off. */
  finishRemovals(): Promise<void>
}

export function openAccounts({
  ports: { users },
  rules,
  background,
  collect,
  trash,
}: Needs<'users', 'rules' | 'background' | 'collect' | 'trash'>): Accounts {
  return {
    async describe(owner) {
      const user = await users.find(owner)
      if (!user) throw problems.unauthorized()
      await trash.expireOf(owner)
      return { ...user, usage: await users.usage(owner), quota: rules.quota }
    },

    async remove(owner) {
      if (!(await users.remove(owner))) throw problems.unauthorized()
      const cleared = clearOut(owner)
      background(
        'removing what was left of a user',
        // Where somebody is reading, the sweeper tries again.
        cleared.then(async () => void (await users.forget(owner))),
      )
      await cleared
    },

    async finishRemovals() {
      for (const owner of await users.departed(BATCH)) {
        await clearOut(owner)
        await users.forget(owner)
      }
    },
  }

  async function clearOut(owner: string): Promise<void> {
    for (;;) {
      const garbage = await users.clearOut(owner, BATCH)
      await collect(garbage)
      if (garbage.length < BATCH) return
    }
  }
}

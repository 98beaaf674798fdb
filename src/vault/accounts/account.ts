/** A user's own account: who it is, what it uses, and its end. */
import type { Quota, Usage, User } from '../../ports/accounts.ts'
import type { Ports, VaultRules } from '../../ports/ports.ts'
import { problems } from '../../problems.ts'
import type { Background } from '../background.ts'
import type { Collect } from '../files/garbage.ts'

/** Files that are removed in one act: other requests wait for it. */
const BATCH = 100

export interface Account extends User {
  usage: Usage
  quota: Quota
}

export function account(
  { users }: Ports,
  rules: VaultRules,
  background: Background,
  collect: Collect,
  expireTrash: (owner: string) => Promise<boolean>,
) {
  return {
    async describe(owner: string): Promise<Account> {
      const user = await users.find(owner)
      if (!user) throw problems.unauthorized()
      await expireTrash(owner)
      return { ...user, usage: await users.usage(owner), quota: rules.quota }
    },

    /**
     * The end of an account: first, in one act, the user with every session and key, so that nothing opens any more; then
     * every file. What a crash leaves of the second is the sweeper's. `unauthorized` where there is no such user.
     */
    async remove(owner: string): Promise<void> {
      if (!(await users.remove(owner))) throw problems.unauthorized()
      const cleared = clearOut(owner)
      background(
        'removing what was left of a user',
        // Where somebody is reading, the sweeper tries again.
        cleared.then(async () => void (await users.forget(owner))),
      )
      await cleared
    },

    /** Finishes the removals that were broken off. */
    async finishRemovals(): Promise<void> {
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

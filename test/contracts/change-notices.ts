/** The contract of everything that tells of changes. */
import { describe, expect, it } from 'vitest'
import type { ChangeNotices } from '../../src/ports/changes.ts'

/** `makeBoth`: the notices of two servers of one vault; the same twice where there is only one. Resolves once both hear. */
export function changeNoticesContract(name: string, makeBoth: () => Promise<[ChangeNotices, ChangeNotices]>) {
  describe(`${name} tells of changes`, () => {
    it('each listener of each server', async () => {
      const [one, other] = await makeBoth()
      const heard: string[] = []
      const all = new Promise<void>((resolve) => {
        for (const [server, notices] of Object.entries({ one, other })) {
          notices.listen((owner) => {
            if (owner !== null) heard.push(`${server}: ${owner}`)
            if (new Set(heard).size === 4) resolve()
          })
        }
      })
      one.publish('ada')
      other.publish('ben')
      await all
      expect([...new Set(heard)].sort()).toEqual(['one: ada', 'one: ben', 'other: ada', 'other: ben'])
    })
  })
}

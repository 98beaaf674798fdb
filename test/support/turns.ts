import { openTurns, type Turns } from '../../src/vault/turns.ts'

/** Turns as usual; `taken` has the owner of each. */
export function notedTurns(): { turns: Turns; taken: string[] } {
  const { next, ...others } = openTurns()
  const taken: string[] = []
  const turns: Turns = {
    ...others,
    next(owner) {
      taken.push(owner)
      return next(owner)
    },
  }
  return { turns, taken }
}

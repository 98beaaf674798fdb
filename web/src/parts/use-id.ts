import { useState } from 'preact/hooks'

let last = 0

/** An id for `for` and `aria-…`. Preact's own repeat in each tree that is rendered, and the viewer is a tree of its own. */
export function useId(): string {
  return useState(() => `id-${++last}`)[0]
}

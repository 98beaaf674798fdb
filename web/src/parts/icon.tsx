import type { IconNode } from 'lucide'
import { h } from 'preact'

export type { IconNode }

/** A drawing beside or instead of words. It says nothing to a screen reader: the words do. */
export function Icon({ node, size = 20 }: { node: IconNode; size?: number }) {
  return (
    <svg
      class="icon"
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      stroke-width="2"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
    >
      {node.map(([element, attributes]) => h(element, attributes))}
    </svg>
  )
}

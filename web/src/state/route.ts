/** The screen, from the fragment of the address: `#/trash`. The browser's back button works, and the server never sees it. */
import { signal } from '@preact/signals'

export const SCREENS = ['photos', 'trash', 'devices', 'activity', 'account'] as const
export type Screen = (typeof SCREENS)[number]

export const screen = signal<Screen>(current())

export const hrefOf = (to: Screen) => `#/${to}`

function current(): Screen {
  const name = location.hash.slice(2).split('/')[0]
  return SCREENS.find((known) => known === name) ?? 'photos'
}

addEventListener('hashchange', () => {
  screen.value = current()
})

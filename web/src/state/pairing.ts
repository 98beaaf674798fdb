/** The link of a pairing picture: `#pair={deviceId}.{pin}`. It signs in whoever has it, so it leaves the address at once. */
import { isVaultError, type Pairing, parsePairing } from '@minikeepsafe/client'
import { signal } from '@preact/signals'

/** What the address asked for. `invalid`: a link that is cut or mistyped. */
export const pairing = signal<Pairing | 'invalid' | null>(null)

function read(): void {
  if (!location.hash.startsWith('#pair=')) return
  const text = location.origin + location.pathname + location.hash
  // Neither the address bar nor the history keeps the PIN.
  history.replaceState(null, '', location.pathname)
  try {
    pairing.value = parsePairing(text)
  } catch (error) {
    if (!isVaultError(error, 'invalid-pairing')) throw error
    pairing.value = 'invalid'
  }
}

read()
// A link that is opened in a page that shows the vault already.
addEventListener('hashchange', read)

const ENTERED_KEY = 'entered-by-link'

/** The id of the user whose vault a link has opened, until the person here agrees. Other tabs and a reload ask, too. */
export const entered = signal(localStorage.getItem(ENTERED_KEY))

export function enteredByLink(userId: string | null): void {
  entered.value = userId
  if (userId === null) localStorage.removeItem(ENTERED_KEY)
  else localStorage.setItem(ENTERED_KEY, userId)
}

addEventListener('storage', ({ key, newValue }) => {
  if (key === ENTERED_KEY) entered.value = newValue
})

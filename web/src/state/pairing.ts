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

import '../parts/sign-in/sign-in.css'
import { useState } from 'preact/hooks'
import { Button } from '../parts/button.tsx'
import { Entrance } from '../parts/sign-in/entrance.tsx'
import { enteredByLink } from '../state/pairing.ts'
import { account, signOut } from '../state/session.ts'
import { formatForeign } from '../words/formats.ts'
import { t } from '../words/words.ts'

/** Says whose vault a link has opened. Before the person here agrees, nothing can be added to it. */
export function Entered() {
  const words = t.value.signIn
  const [isBusy, setBusy] = useState(false)
  const user = account.value
  if (!user) return null
  const leave = async () => {
    setBusy(true)
    await signOut()
    setBusy(false)
  }
  return (
    <Entrance title={words.enteredTitle}>
      <p class="caution">{words.enteredText(formatForeign(user.name), user.email)}</p>
      <p>{words.enteredWhy}</p>
      <Button kind="main" disabled={isBusy} onClick={() => enteredByLink(null)}>
        {words.enteredGoOn}
      </Button>
      <Button kind="quiet" disabled={isBusy} onClick={() => void leave()}>
        {words.enteredNotMine}
      </Button>
    </Entrance>
  )
}

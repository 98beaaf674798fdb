import '../parts/account/account.css'
import { Download, LogOut } from 'lucide'
import { useEffect, useState } from 'preact/hooks'
import { DeleteAccount } from '../parts/account/delete-account.tsx'
import { LanguageChoice } from '../parts/account/language-choice.tsx'
import { LockChoice } from '../parts/account/lock-choice.tsx'
import { Usage } from '../parts/account/usage.tsx'
import { Button } from '../parts/button.tsx'
import { Icon } from '../parts/icon.tsx'
import { account, client, refreshAccount, signOut } from '../state/session.ts'
import { formatDate } from '../words/formats.ts'
import { t } from '../words/words.ts'

/** The person, the storage, the settings of this page, and the ways out. */
export function AccountScreen() {
  const words = t.value.account
  const [isDeleting, setDeleting] = useState(false)
  // What other devices stored counts as well.
  useEffect(() => void refreshAccount(), [])
  const user = account.value
  if (!user) return null
  return (
    <main class="screen stack">
      <h1>{t.value.common.account}</h1>
      <section class="card stack" aria-labelledby="person">
        <h2 id="person">{words.person}</h2>
        <dl class="facts">
          <dt>{words.name}</dt>
          <dd>{user.name}</dd>
          <dt>{words.email}</dt>
          <dd>{user.email}</dd>
          <dt>{words.since}</dt>
          <dd>{formatDate(user.createdAt)}</dd>
        </dl>
      </section>
      <section class="card stack" aria-labelledby="storage">
        <h2 id="storage">{words.storage}</h2>
        <Usage account={user} />
      </section>
      <section class="card stack" aria-labelledby="page">
        <h2 id="page">{words.page}</h2>
        <LanguageChoice />
        <LockChoice />
      </section>
      <section class="card stack" aria-labelledby="export">
        <h2 id="export">{words.exportTitle}</h2>
        <p class="soft">{words.exportText}</p>
        <div>
          <a class="button plain" href={client.urls.export()} download="">
            <Icon node={Download} />
            <span>{words.export}</span>
          </a>
        </div>
      </section>
      <section class="card stack" aria-labelledby="sign-out">
        <h2 id="sign-out">{words.signOut}</h2>
        <p class="soft">{words.signOutText}</p>
        <div>
          <Button icon={LogOut} onClick={() => void signOut()}>
            {words.signOut}
          </Button>
        </div>
      </section>
      <section class="card stack" aria-labelledby="delete">
        <h2 id="delete">{words.deleteTitle}</h2>
        <p class="soft">{words.deleteText}</p>
        <div>
          <Button kind="danger" onClick={() => setDeleting(true)}>
            {words.delete}
          </Button>
        </div>
      </section>
      {isDeleting && <DeleteAccount email={user.email} onClose={() => setDeleting(false)} />}
    </main>
  )
}

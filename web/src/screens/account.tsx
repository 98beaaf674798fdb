import { t } from '../words/words.ts'

export function AccountScreen() {
  return (
    <main class="screen">
      <h1>{t.value.common.account}</h1>
    </main>
  )
}

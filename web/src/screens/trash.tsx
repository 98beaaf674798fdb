import { t } from '../words/words.ts'

export function Trash() {
  return (
    <main class="screen">
      <h1>{t.value.common.trash}</h1>
    </main>
  )
}

import { t } from '../words/words.ts'

export function Activity() {
  return (
    <main class="screen">
      <h1>{t.value.common.activity}</h1>
    </main>
  )
}

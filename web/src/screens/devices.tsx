import { t } from '../words/words.ts'

export function Devices() {
  return (
    <main class="screen">
      <h1>{t.value.common.devices}</h1>
    </main>
  )
}

import { AddButton } from '../uploads/add-button.tsx'
import { t } from '../words/words.ts'

export function Gallery() {
  return (
    <main class="screen">
      <h1>{t.value.common.photos}</h1>
      <AddButton />
      <p class="soft">{t.value.gallery.empty}</p>
    </main>
  )
}

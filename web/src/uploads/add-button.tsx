import { Plus } from 'lucide'
import { Button } from '../parts/button.tsx'
import { t } from '../words/words.ts'

/** Opens the picker. */
export function AddButton() {
  return (
    <Button kind="main" icon={Plus}>
      {t.value.uploads.add}
    </Button>
  )
}

import './drop-area.css'
import { Upload } from 'lucide'
import { useEffect, useState } from 'preact/hooks'
import { Icon } from '../parts/icon.tsx'
import { t } from '../words/words.ts'
import { add } from './add.ts'
import { ofTransfer } from './sources.ts'

const hasFiles = (transfer: DataTransfer | null): transfer is DataTransfer => transfer?.types.includes('Files') ?? false
/** Text is pasted into fields, and stays theirs. */
const isField = (target: EventTarget | null) => target instanceof Element && target.closest('input, textarea') !== null

/** The whole page takes files that are dropped or pasted. */
export function DropArea() {
  const [isOver, setOver] = useState(false)
  useEffect(() => {
    // Elements are entered and left one by one.
    let depth = 0
    const enter = (change: number) => (event: DragEvent) => {
      if (!hasFiles(event.dataTransfer)) return
      depth = Math.max(0, depth + change)
      setOver(depth > 0)
    }
    const over = (event: DragEvent) => {
      if (hasFiles(event.dataTransfer)) event.preventDefault()
    }
    const drop = (event: DragEvent) => {
      depth = 0
      setOver(false)
      if (!hasFiles(event.dataTransfer)) return
      event.preventDefault()
      void ofTransfer(event.dataTransfer).then(add)
    }
    const paste = ({ clipboardData, target }: ClipboardEvent) => {
      if (hasFiles(clipboardData) && !isField(target)) void ofTransfer(clipboardData).then(add)
    }
    const controller = new AbortController()
    const { signal } = controller
    addEventListener('dragenter', enter(1), { signal })
    addEventListener('dragleave', enter(-1), { signal })
    addEventListener('dragover', over, { signal })
    addEventListener('drop', drop, { signal })
    addEventListener('paste', paste, { signal })
    return () => controller.abort()
  }, [])
  return isOver ? (
    <div class="drop-area">
      <Icon node={Upload} size={32} />
      <p>{t.value.uploads.drop}</p>
    </div>
  ) : null
}

import { Camera, File, FolderOpen, Plus } from 'lucide'
import { useRef, useState } from 'preact/hooks'
import { Button } from '../parts/button.tsx'
import { type Choice, Choices } from '../parts/choices.tsx'
import { isTouch } from '../state/touch.ts'
import { t } from '../words/words.ts'
import { add } from './add.ts'
import { ofPicker } from './sources.ts'

const isAndroid = /Android/.test(navigator.userAgent)

/** Preact's types do not know it. */
const WHOLE_FOLDERS = { webkitdirectory: true }

/** Files, and what else this device has: a camera, or folders. */
export function AddButton() {
  const words = t.value.uploads
  const [isOpen, setOpen] = useState(false)
  const place = useRef<HTMLDivElement>(null)
  const files = useRef<HTMLInputElement>(null)
  const camera = useRef<HTMLInputElement>(null)
  const folder = useRef<HTMLInputElement>(null)
  const onChange = ({ currentTarget }: { currentTarget: HTMLInputElement }) => {
    // Another user may have been signed in while the picker was open.
    if (currentTarget.isConnected) void add(ofPicker(currentTarget))
  }

  const choices: Choice[] = [
    { label: words.choose, icon: File, run: () => files.current?.click() },
    isTouch
      ? { label: words.camera, icon: Camera, run: () => camera.current?.click() }
      : { label: words.folder, icon: FolderOpen, run: () => folder.current?.click() },
  ]
  const hidden = { type: 'file', hidden: true, tabIndex: -1, onChange } as const
  return (
    <div ref={place} class="add-button">
      <Button kind="main" icon={Plus} hasMenu expanded={isOpen} onClick={() => setOpen(!isOpen)}>
        {words.add}
      </Button>
      <input ref={files} {...hidden} multiple aria-label={words.choose} />
      {isTouch ? (
        <input ref={camera} {...hidden} accept="image/*,video/*" capture="environment" aria-label={words.camera} />
      ) : (
        <input ref={folder} {...hidden} {...WHOLE_FOLDERS} aria-label={words.folder} />
      )}
      {isOpen && (
        <Choices
          label={words.add}
          choices={choices}
          anchor={place.current?.querySelector('button') as HTMLButtonElement}
          hint={isAndroid ? words.placesHint : null}
          onClose={() => setOpen(false)}
        />
      )}
    </div>
  )
}

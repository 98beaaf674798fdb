import type { TrashedFile } from '@minikeepsafe/client'
import { File, Film, Image, Music, Trash2, Undo2 } from 'lucide'
import { type Kind, kindOf } from '../../state/files.ts'
import { serverNow } from '../../state/server-time.ts'
import { formatBytes, formatDuration } from '../../words/formats.ts'
import { t } from '../../words/words.ts'
import { Button } from '../button.tsx'
import { Icon, type IconNode } from '../icon.tsx'

const ICONS: Record<Kind, IconNode> = { picture: Image, video: Film, audio: Music, other: File }

interface Props {
  file: TrashedFile
  onRestore: () => void
  onRemove: () => void
}

/** A deleted file. The server gives thumbnails of live files only, so an icon stands for it. */
export function TrashRow({ file, onRestore, onRemove }: Props) {
  const words = t.value.trash
  const leftMs = Math.max(0, Date.parse(file.expiresAt) - serverNow())
  return (
    <li>
      <span class="mark">
        <Icon node={ICONS[kindOf(file)]} />
      </span>
      <div class="text">
        <p>{file.name}</p>
        <p class="soft small">
          {formatBytes(file.size)} · {words.left(formatDuration(leftMs))}
        </p>
      </div>
      <div class="actions">
        <Button icon={Undo2} label={words.restoreFile(file.name)} onClick={onRestore}>
          {words.restore}
        </Button>
        <Button kind="quiet" icon={Trash2} label={words.removeFile(file.name)} onClick={onRemove} />
      </div>
    </li>
  )
}

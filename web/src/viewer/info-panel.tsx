import type { StoredFile } from '@minikeepsafe/client'
import { Copy, Pencil, X } from 'lucide'
import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import { Button } from '../parts/button.tsx'
import type { Size } from '../pictures/encoding.ts'
import { notify } from '../state/notices.ts'
import { formatBytes, formatCountdown, formatDateTime, formatNumber } from '../words/formats.ts'
import { t } from '../words/words.ts'
import { DateForm } from './date-form.tsx'
import { takenText } from './dates.ts'
import { NameForm } from './name-form.tsx'

/** The server does not know it. It becomes known when the file is opened. */
export interface Measured {
  size?: Size | undefined
  lengthMs?: number | undefined
}

interface Props {
  file: StoredFile
  measured: Measured
  onClose: () => void
}

/** What is known of the file. Its name and its date can be changed. */
export function InfoPanel({ file, measured: { size, lengthMs }, onClose }: Props) {
  const [editing, setEditing] = useState<'name' | 'date' | null>(null)
  const words = t.value.viewer
  const done = () => setEditing(null)
  return (
    <aside class="viewer-info" aria-label={words.info}>
      <header>
        <h2>{words.info}</h2>
        <Button kind="quiet" icon={X} label={t.value.common.close} onClick={onClose} />
      </header>
      {editing === 'name' ? (
        <NameForm file={file} onDone={done} />
      ) : (
        <Fact name={words.fileName} edit={words.rename} onEdit={() => setEditing('name')}>
          {file.name}
        </Fact>
      )}
      {editing === 'date' ? (
        <DateForm file={file} onDone={done} />
      ) : (
        <Fact name={words.taken} edit={words.changeDate} onEdit={() => setEditing('date')}>
          {file.takenAt === null ? words.notKnown : takenText(file)}
        </Fact>
      )}
      <Fact name={words.added}>{formatDateTime(file.createdAt)}</Fact>
      <Fact name={words.size}>{formatBytes(file.size)}</Fact>
      {size && <Fact name={words.dimensions}>{`${formatNumber(size.width)} × ${formatNumber(size.height)}`}</Fact>}
      {lengthMs !== undefined && <Fact name={words.duration}>{formatCountdown(lengthMs)}</Fact>}
      <Fact name={words.type}>{file.contentType}</Fact>
      <Digest sha256={file.sha256} />
    </aside>
  )
}

interface FactProps {
  name: string
  children: ComponentChildren
  /** The name of the button that changes it. */
  edit?: string
  onEdit?: () => void
}

function Fact({ name, children, edit, onEdit }: FactProps) {
  return (
    <div class="viewer-fact">
      <dl>
        <dt class="small soft">{name}</dt>
        <dd>{children}</dd>
      </dl>
      {edit && onEdit && <Button kind="quiet" icon={Pencil} label={edit} onClick={onEdit} />}
    </div>
  )
}

function Digest({ sha256 }: { sha256: string }) {
  const words = t.value.viewer
  // Browsers have a clipboard on secure origins only. Elsewhere the user can mark the whole digest.
  const canCopy = 'clipboard' in navigator
  const copy = () =>
    navigator.clipboard.writeText(sha256).then(
      () => notify(words.copied),
      () => {},
    )
  return (
    <div class="viewer-fact">
      <dl>
        <dt class="small soft">{words.sha256}</dt>
        <dd>
          <code title={sha256}>{canCopy ? `${sha256.slice(0, 12)}…${sha256.slice(-4)}` : sha256}</code>
        </dd>
      </dl>
      {canCopy && <Button kind="quiet" icon={Copy} label={words.copy} onClick={() => void copy()} />}
    </div>
  )
}

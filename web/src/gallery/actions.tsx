/** The actions on the selected files. */
import { isVaultError, type StoredFile, VaultError } from '@minikeepsafe/client'
import { useState } from 'preact/hooks'
import { Button } from '../parts/button.tsx'
import { Dialog } from '../parts/dialog.tsx'
import { Field } from '../parts/field.tsx'
import { tell } from '../state/files.ts'
import { notify } from '../state/notices.ts'
import { client, failed, messageOf, user } from '../state/session.ts'
import { formatNumber } from '../words/formats.ts'
import { t } from '../words/words.ts'
import { clear, selected } from './selection.ts'

/** The maximum of files of one zip. */
const FILES_OF_A_ZIP = 300
const AT_ONCE = 4

function save(url: string, name = ''): void {
  const link = document.createElement('a')
  link.href = url
  link.download = name
  link.click()
}

/** Downloads one file as it is, and several as a zip. `false` if they need more than one zip. */
export function downloadSelected(): boolean {
  const files = [...selected.peek().values()]
  const [first] = files
  if (files.length > FILES_OF_A_ZIP) return false
  if (first && files.length === 1) save(client.urls.file(first.name), first.name)
  else if (first) save(client.urls.export(files.map(({ id }) => id)))
  return true
}

/** Very many files are several zips, each with a link: a browser asks before it saves several files by itself. */
export function PartsDialog({ onClose }: { onClose: () => void }) {
  const words = t.value.gallery
  const [ids] = useState([...selected.peek().keys()])
  const parts = Array.from({ length: Math.ceil(ids.length / FILES_OF_A_ZIP) }, (_, n) => n * FILES_OF_A_ZIP)
  return (
    <Dialog title={words.partsTitle} onClose={onClose}>
      <p>{words.partsExplained(formatNumber(FILES_OF_A_ZIP))}</p>
      <ul class="parts">
        {parts.map((from) => {
          const part = ids.slice(from, from + FILES_OF_A_ZIP)
          return (
            <li key={from}>
              <a class="button plain" href={client.urls.export(part)} download="">
                {words.part(formatNumber(from + 1), formatNumber(from + part.length))}
              </a>
            </li>
          )
        })}
      </ul>
    </Dialog>
  )
}

export function RenameDialog({ onClose }: { onClose: () => void }) {
  const words = t.value.gallery
  const [file] = useState([...selected.peek().values()][0])
  const [name, setName] = useState(file?.name ?? '')
  const [error, setError] = useState<string>()
  const [isBusy, setBusy] = useState(false)
  const rename = async () => {
    if (!file || isBusy) return
    if (name === file.name) return onClose()
    setBusy(true)
    try {
      tell({ type: 'file', file: await client.rename(file.name, name) })
      clear()
      onClose()
    } catch (error) {
      setBusy(false)
      if (isVaultError(error, 'file-exists')) setError(words.nameTaken)
      else if (isVaultError(error, 'invalid-name')) setError(words.nameInvalid)
      else if (error instanceof VaultError && error.code !== 'unauthorized') setError(messageOf(error))
      else failed(error)
    }
  }
  const actions = (
    <>
      <Button onClick={onClose}>{t.value.common.cancel}</Button>
      <Button kind="main" disabled={isBusy || name === ''} onClick={() => void rename()}>
        {words.rename}
      </Button>
    </>
  )
  return (
    <Dialog title={words.renameTitle} onClose={onClose} actions={actions}>
      <form
        onSubmit={(event) => {
          event.preventDefault()
          void rename()
        }}
      >
        <Field label={words.newName} value={name} onInput={setName} error={error} autoComplete="off" autoFocus />
      </form>
    </Dialog>
  )
}

/** Runs a few at a time. Returns the errors; `null` if another user is signed in by now, who must not be told. */
async function forEach<Item>(items: Item[], work: (item: Item) => Promise<void>) {
  const left = [...items]
  const errors: unknown[] = []
  const owner = user()
  const worker = async () => {
    // Another tab may sign another user in meanwhile.
    for (let item = left.shift(); item !== undefined && user() === owner; item = left.shift()) {
      try {
        await work(item)
      } catch (error) {
        errors.push(error)
        // The session is over: the others would fail as well.
        if (isVaultError(error, 'unauthorized')) left.length = 0
      }
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  return user() === owner ? errors : null
}

/** Moves the selected files to the trash. The notice takes it back. */
export async function removeSelected(): Promise<void> {
  const words = t.value.gallery
  const files = [...selected.peek().values()]
  clear()
  const gone: StoredFile[] = []
  let toldAt = Date.now()
  const errors = await forEach(files, async (file) => {
    await client.remove(file.name).catch((error) => {
      if (!isVaultError(error, 'file-not-found')) throw error
    })
    gone.push(file)
    tell({ type: 'gone', id: file.id })
    if (Date.now() - toldAt < 1000) return
    toldAt = Date.now()
    notify(words.removing(formatNumber(gone.length), formatNumber(files.length)))
  })
  if (errors === null) return
  if (errors.length > 0) {
    failed(errors[0])
    if (files.length > 1) notify(words.notRemoved(formatNumber(errors.length)), { isError: true })
  }
  if (gone.length === 0) return
  const action = { label: words.undo, run: () => void restore(gone) }
  notify(words.removed(formatNumber(gone.length), gone.length), { action })
}

async function restore(files: StoredFile[]): Promise<void> {
  const words = t.value.gallery
  const errors = await forEach(files, async ({ id }) => {
    tell({ type: 'file', file: await client.trash.restore(id, { onConflict: 'rename' }) })
  })
  if (errors === null) return
  if (errors.length > 0) failed(errors[0])
  notify(words.restored(formatNumber(files.length - errors.length), files.length - errors.length))
}

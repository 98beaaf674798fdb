import '../parts/rows.css'
import type { TrashedFile } from '@minikeepsafe/client'
import { Trash2 } from 'lucide'
import { useRef, useState } from 'preact/hooks'
import { Button } from '../parts/button.tsx'
import { Confirm } from '../parts/confirm.tsx'
import { More } from '../parts/more.tsx'
import { Starting } from '../parts/starting.tsx'
import { RestoreDialog } from '../parts/trash/restore-dialog.tsx'
import { TrashRow } from '../parts/trash/trash-row.tsx'
import { usePages } from '../parts/use-pages.ts'
import { notify } from '../state/notices.ts'
import { attempt, client, refreshAccount } from '../state/session.ts'
import { removeForGood, restore } from '../state/trash.ts'
import { t } from '../words/words.ts'

type Asked = { what: 'remove' | 'rename'; file: TrashedFile } | { what: 'empty' }

/** Deleted files: restore them, or delete them for good. */
export function Trash() {
  const words = t.value.trash
  // Not the largest page: the first rows are there sooner.
  const pages = usePages((signal) => client.trash.list({ pageSize: 120, signal }))
  const [asked, setAsked] = useState<Asked | null>(null)
  const [isEmptied, setEmptied] = useState(false)
  const files = isEmptied ? [] : pages.entries
  const heading = useRef<HTMLHeadingElement>(null)
  const close = () => setAsked(null)
  const leave = (file: TrashedFile, isGone = false) => {
    if (isGone) notify(words.gone(file.name))
    pages.remove(file.id)
    // The button that had the focus leaves with its row.
    heading.current?.focus()
  }

  const restoreFile = async (file: TrashedFile) => {
    const result = await attempt(() => restore(file.id))
    if (result === 'taken') setAsked({ what: 'rename', file })
    else if (result) leave(file, result === 'gone')
  }
  const remove = (file: TrashedFile) =>
    attempt(async () => {
      await removeForGood(file.id)
      leave(file)
      notify(words.removed(file.name))
    })
  const empty = () =>
    attempt(async () => {
      await client.trash.empty()
      setEmptied(true)
      notify(words.emptied)
      await refreshAccount()
    })

  if (files === null && !pages.isFailed) return <Starting />
  const isEmpty = files?.length === 0 && (pages.isDone || isEmptied)
  return (
    <main class="screen stack">
      <h1 ref={heading} tabIndex={-1}>
        {t.value.common.trash}
      </h1>
      {isEmpty ? (
        <p class="nothing soft">{words.empty}</p>
      ) : (
        <>
          <div class="above">
            <p class="soft">{words.intro}</p>
            <Button icon={Trash2} onClick={() => setAsked({ what: 'empty' })}>
              {words.emptyNow}
            </Button>
          </div>
          {files && files.length > 0 && (
            <ul class="rows">
              {files.map((file) => (
                <TrashRow
                  key={file.id}
                  file={file}
                  onRestore={() => void restoreFile(file)}
                  onRemove={() => setAsked({ what: 'remove', file })}
                />
              ))}
            </ul>
          )}
          <More pages={pages} label={words.more} />
        </>
      )}
      {asked?.what === 'remove' && (
        <Confirm
          title={words.removeTitle}
          action={words.removeNow}
          onConfirm={async () => void (await remove(asked.file))}
          onClose={close}
        >
          <p>{words.removeText(asked.file.name)}</p>
        </Confirm>
      )}
      {asked?.what === 'empty' && (
        <Confirm
          title={words.emptyTitle}
          action={words.emptyNow}
          onConfirm={async () => void (await empty())}
          onClose={close}
        >
          <p>{words.emptyText}</p>
        </Confirm>
      )}
      {asked?.what === 'rename' && (
        <RestoreDialog file={asked.file} onRestored={() => leave(asked.file)} onClose={close} />
      )}
    </main>
  )
}

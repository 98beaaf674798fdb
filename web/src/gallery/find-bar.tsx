import './find-bar.css'
import { Search } from 'lucide'
import { useEffect, useRef, useState } from 'preact/hooks'
import { Icon } from '../parts/icon.tsx'
import { useId } from '../parts/use-id.ts'
import { search, show } from '../state/timeline.ts'
import { t } from '../words/words.ts'
import { KINDS, prefix, shownKind } from './lists.ts'

const TYPING_MS = 250

/** Search by the beginning of a name, and the kinds of files that are shown. */
export function FindBar() {
  const words = t.value.gallery
  const id = useId()
  const [text, setText] = useState(prefix.peek())
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined)
  useEffect(() => () => clearTimeout(timer.current), [])
  const begin = (wanted: string, afterMs: number) => {
    clearTimeout(timer.current)
    timer.current = setTimeout(() => search(wanted.trim()), afterMs)
  }
  return (
    <search class="find-bar">
      <div class="search">
        <Icon node={Search} />
        <label class="unseen" for={id}>
          {words.search}
        </label>
        <input
          id={id}
          type="search"
          value={text}
          placeholder={words.searchHint}
          autoCapitalize="none"
          autoComplete="off"
          spellcheck={false}
          maxLength={255}
          onInput={({ currentTarget: { value } }) => {
            setText(value)
            begin(value, value === '' ? 0 : TYPING_MS)
          }}
          onKeyDown={(event) => event.key === 'Enter' && begin(text, 0)}
        />
      </div>
      <fieldset class="kinds">
        <legend class="unseen">{words.kinds}</legend>
        {KINDS.map((kind) => (
          <label key={kind}>
            <input type="radio" name={id} checked={shownKind.value === kind} onChange={() => show(kind)} />
            {words[kind]}
          </label>
        ))}
      </fieldset>
    </search>
  )
}

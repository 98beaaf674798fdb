import { useEffect, useRef, useState } from 'preact/hooks'
import { failed } from '../state/session.ts'

/** How many entries are added to the page at a time. */
const STEP = 60

export interface Pages<Entry> {
  /** What was read so far; `null` before the first answer. */
  entries: Entry[] | null
  isDone: boolean
  isFailed: boolean
  more: () => void
  remove: (id: string) => void
}

/** Reads a list as far as the user scrolls. `open` begins it; after an error it is begun again, and what is known is left out. */
export function usePages<Entry extends { id: string }>(
  open: (signal: AbortSignal) => AsyncGenerator<Entry>,
  step = STEP,
): Pages<Entry> {
  const [entries, setEntries] = useState<Entry[] | null>(null)
  const [isDone, setDone] = useState(false)
  const [isFailed, setFailed] = useState(false)
  const reading = useRef({
    list: null as AsyncGenerator<Entry> | null,
    known: new Set<string>(),
    isBusy: false,
    leaving: new AbortController(),
  })

  const more = async () => {
    const now = reading.current
    if (now.isBusy || isDone) return
    now.isBusy = true
    setFailed(false)
    const found: Entry[] = []
    try {
      now.list ??= open(now.leaving.signal)
      while (found.length < step) {
        const { value, done } = await now.list.next()
        if (done) {
          setDone(true)
          break
        }
        if (now.known.has(value.id)) continue
        now.known.add(value.id)
        found.push(value)
      }
    } catch (error) {
      now.list = null
      if (now.leaving.signal.aborted) return
      setFailed(true)
      failed(error)
    } finally {
      now.isBusy = false
    }
    setEntries((before) =>
      before === null && found.length === 0 && now.list === null ? null : [...(before ?? []), ...found],
    )
  }

  useEffect(() => {
    const now = reading.current
    void more()
    return () => now.leaving.abort()
  }, [])

  return {
    ...{ entries, isDone, isFailed },
    more: () => void more(),
    remove: (id) => setEntries((before) => before?.filter((entry) => entry.id !== id) ?? null),
  }
}

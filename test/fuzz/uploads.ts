/** Requests of uploads in several requests: fields that fit each other, which chance alone seldom makes. */
import type { Dice } from './chance.ts'
import type { Draft } from './drafts.ts'
import type { Memory } from './memory.ts'

const VERSIONS = ['3', '5', '6', '8', '9', '10']
const NAMES = ['beach.jpg', 'film.mp4', 'Ferien in Köln.png', 'part.bin']

const base64 = (text: string) => Buffer.from(text).toString('base64')
const lengthOf = ({ body }: Draft) => body?.length ?? 0

/** The fields of each operation that takes bytes. */
export const UPLOADS: Readonly<Record<string, (draft: Draft, dice: Dice, memory: Memory) => void>> = {
  createUpload: (draft, dice) => (dice.oneIn(4) ? createTus(draft, dice) : createIetf(draft, dice)),
  appendUpload: appendIetf,
}

/** An upload that lists told. */
export function knownUpload(dice: Dice, memory: Memory): Record<string, unknown> | null {
  const known = memory.records(['id', 'offset', 'expiresAt']).slice(-4)
  return known.length > 0 ? dice.pick(known) : null
}

function createIetf(draft: Draft, dice: Dice): void {
  const name = dice.pick(NAMES)
  const whole = dice.oneIn(2)
  draft.headers.push(['Content-Disposition', `attachment; filename*=UTF-8''${encodeURIComponent(name)}`])
  say(draft, dice, whole)
  if (dice.oneIn(3)) draft.headers.push(['Upload-Length', String(lengthOf(draft) + (whole ? 0 : dice.below(100)))])
  if (!whole) draft.content = null
}

/** Its length is never reached, because the response to the last append of tus does not tell the file. */
function createTus(draft: Draft, dice: Dice): void {
  const metadata = `filename ${base64(dice.pick(NAMES))},filetype ${base64('image/jpeg')},onConflict ${base64('rename')}`
  draft.headers.push(['Tus-Resumable', '1.0.0'], ['Upload-Metadata', metadata])
  draft.headers.push(dice.oneIn(4) ? ['Upload-Defer-Length', '1'] : ['Upload-Length', '100000000'])
  draft.headers = draft.headers.filter(([field]) => field !== 'Content-Type')
  if (dice.oneIn(2)) draft.headers.push(['Content-Type', 'application/offset+octet-stream'])
  else draft.body = null
  draft.content = null
}

function appendIetf(draft: Draft, dice: Dice, memory: Memory): void {
  const known = knownUpload(dice, memory)
  draft.headers = draft.headers.filter(([field]) => !/^(Upload-Offset|Content-Type)$/i.test(field))
  draft.headers.push(['Content-Type', 'application/partial-upload'], ['Upload-Offset', String(known?.offset ?? 0)])
  if (known && dice.oneIn(4) === false) draft.path = `/v1/uploads/${known.id}`
  say(draft, dice, dice.oneIn(2))
  draft.content = null
}

/** Whether the upload is complete, in one of the versions. */
function say(draft: Draft, dice: Dice, complete: boolean): void {
  const version = dice.oneIn(3) ? dice.pick(VERSIONS) : null
  if (version) draft.headers.push(['Upload-Draft-Interop-Version', version])
  draft.headers.push(
    version === '3' ? ['Upload-Incomplete', complete ? '?0' : '?1'] : ['Upload-Complete', complete ? '?1' : '?0'],
  )
}

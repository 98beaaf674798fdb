import { expect, it } from 'vitest'
import { member, testApp } from '../support/app.ts'
import { appending, type asking, beginning, isComplete } from '../support/resuming.ts'

const NOTHING = Buffer.alloc(0)

it.for([
  ['tus', 460, 'checksum-mismatch'],
  [10, 400, 'digest-mismatch'],
] as const)('a wrong digest of an append without bytes is refused, in %s', async ([dialect, status, code]) => {
  const ada = await member(await testApp())
  const send = ({ path, call }: ReturnType<typeof asking>) => ada.request(path, call)
  const begun = await send(beginning(dialect, 'photo', { bytes: Buffer.from('sand'), isLast: false, size: 5 }))
  const upload = begun.headers.location as string

  const refused = await send(appending(dialect, upload, 4, { bytes: NOTHING, isLast: false, digest: 'wrong' }))
  expect(refused).toBeProblem(status, code)
  expect((await send(appending(dialect, upload, 4, { bytes: NOTHING, isLast: false, digest: 'right' }))).status).toBe(
    204,
  )
  const rest = await send(appending(dialect, upload, 4, { bytes: Buffer.from('y'), isLast: true, digest: 'right' }))
  expect(isComplete(rest)).toBe(true)
  expect((await ada.get('photo')).body).toBe('sandy')
})

import { PassThrough } from 'node:stream'
import { expect, it } from 'vitest'
import { openReport } from '../src/backup/progress.ts'
import { VaultError } from '../src/node.ts'

function streams({ isTTY }: { isTTY: boolean }) {
  const [out, errors] = [new PassThrough(), new PassThrough()]
  // From Node 26 on, one read returns one chunk.
  const text = (stream: PassThrough) => {
    let read = ''
    for (let chunk = stream.read(); chunk !== null; chunk = stream.read()) read += chunk
    return read
  }
  return { out: Object.assign(out, { isTTY }), errors, shown: () => text(out), complaints: () => text(errors) }
}

const MiB = 1024 * 1024

it('a terminal shows a bar', () => {
  const { out, errors, shown } = streams({ isTTY: true })
  const report = openReport(2, out, errors)
  report.add({ what: 'sent', relative: 'a', name: 'a', size: 3 * MiB })
  expect(shown()).toContain('\r[===============               ] 1 of 2 files, 3.0 MiB sent, 0 failed')
  report.add({ what: 'there', relative: 'b' })
  expect(report.end()).toBe(0)
  expect(shown()).toContain(`[${'='.repeat(30)}] 2 of 2 files`)
})

it('a file gets a line for each file that is sent, and the failures', () => {
  const { out, errors, shown, complaints } = streams({ isTTY: false })
  const report = openReport(4, out, errors)
  report.add({ what: 'sent', relative: 'a', name: 'a', size: 0 })
  report.add({ what: 'sent', relative: 'x/b', name: 'x - b', size: 0 })
  report.add({ what: 'failed', relative: 'c', error: new VaultError('file-too-large', 'It is too large.') })
  report.add({ what: 'failed', relative: 'd', error: new Error('EACCES') })
  expect(report.end()).toBe(2)
  expect(shown()).toBe('sent a\nsent x/b as x - b\n4 files: 2 sent (0.0 MiB), 0 there already, 2 failed\n')
  expect(complaints()).toBe('failed c: It is too large. (file-too-large)\nfailed d: EACCES\n')
})

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { temporaryFolder } from '../support/app.ts'
import { serverProcess, signedIn } from '../support/process.ts'
import { describeWithProgram } from '../support/programs.ts'

const TRACED = [
  'strace',
  '-D',
  '-f',
  '-y',
  '-e',
  'trace=fsync,fdatasync,write,writev,pwrite64,pwritev,sendto',
  '-s',
  '12',
]

describeWithProgram('strace', 'strace')('an upload', () => {
  it('is on the disk before it is acknowledged: its bytes, the entry of its folder, and its row', async () => {
    const folder = await temporaryFolder()
    const trace = join(folder, 'trace')
    const server = serverProcess(folder, {}, { under: [...TRACED, '-o', trace] })
    const headers = await signedIn(server)
    const before = (await readFile(trace, 'utf8')).length
    expect((await server.request('/v1/files/photo', { method: 'PUT', headers, body: 'sand' })).status).toBe(201)
    await server.stop('SIGTERM')

    const calls = (await readFile(trace, 'utf8')).slice(before).split('\n')
    const at = (call: RegExp) => calls.findIndex((line) => call.test(line))
    const synced = [
      at(/ fdatasync\(\d+<[^>]*\/uploads\/[^/]+\/[^/]+>/),
      at(/ fsync\(\d+<[^>]*\/uploads\/[^/]+>/),
      at(/ (?:fsync|fdatasync)\(\d+<[^>]*\.db-wal>/),
    ]
    const acknowledged = at(/ writev?\(\d+<(?:TCP|socket)[^>]*>.*HTTP\/1\.1 201/)
    expect(Math.min(...synced)).toBeGreaterThan(-1)
    expect(acknowledged).toBeGreaterThan(Math.max(...synced))
  })
})

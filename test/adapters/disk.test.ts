import fs from 'node:fs'
import { cp, type FileHandle, mkdir, open, readdir, rename, rm, rmdir, stat, unlink, writeFile } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { diskBlobs } from '../../src/adapters/disk/blobs.ts'
import { sharedSync } from '../../src/adapters/disk/shared-sync.ts'
import { blobStoreContract } from '../contracts/blob-store.ts'
import { temporaryFolder } from '../support/app.ts'
import { listed } from '../support/blobs.ts'

async function store(folder?: string) {
  const blobs = await diskBlobs(folder ?? (await temporaryFolder()))
  onTestFinished(blobs.close)
  return blobs
}

async function* one(text: string) {
  yield [Buffer.from(text)]
}

async function* batchesOf(sizes: number[]) {
  for (const size of sizes) yield [Buffer.alloc(size)]
}

function firstByte([chunk]: Buffer[]): Buffer {
  return (chunk as Buffer).subarray(0, 1)
}

/** What every open file inherits, so that a test can watch what is done to files, or let it fail. */
async function everyFileHandle(folder: string): Promise<FileHandle> {
  const probe = await open(folder)
  await probe.close()
  return Object.getPrototypeOf(probe)
}

blobStoreContract('disk', () => store())

it('goes on reading a blob that is deleted meanwhile', async () => {
  const blobs = await store()
  await blobs.put('run/a', batchesOf([4_000_000]))
  const reader = await blobs.open('run/a', 0, 4_000_000)
  await blobs.delete(['run/a'])
  expect((await reader?.read(4_000_000))?.equals(Buffer.alloc(4_000_000))).toBe(true)
  await reader?.close()
})

it('fails a reader whose blob was deleted some minutes ago, and no other', async () => {
  let now = 0
  const blobs = await diskBlobs(await temporaryFolder(), { clock: () => now })
  onTestFinished(blobs.close)
  const readers = []
  for (const blob of ['run/deleted', 'run/kept']) {
    await blobs.put(blob, one('sand and stones'))
    readers.push(await blobs.open(blob, 0, 15))
  }
  const [ofDeleted, ofKept] = readers
  await blobs.delete(['run/deleted'])
  for (const minutes of [0, 2, 11]) {
    now = minutes * 60_000
    for (const reader of readers) expect((await reader?.read(1))?.length).toBe(1)
  }
  now = 13 * 60_000
  await expect(ofDeleted?.read(1)).rejects.toMatchObject({ code: 'ESTALE' })
  expect((await ofKept?.read(12))?.toString()).toBe('d and stones')
  for (const reader of readers) await reader?.close()
})

it('lists a run of very many blobs in batches of at most 500, each blob once', async () => {
  const folder = await temporaryFolder()
  const blobs = await store(folder)
  await mkdir(join(folder, 'run'))
  const names = Array.from({ length: 1001 }, (_, n) => `run/blob-${n}`)
  for (const name of names) await writeFile(join(folder, name), '')
  const batches: string[][] = []
  for await (const batch of blobs.list('run')) batches.push(batch)
  expect(batches.map(({ length }) => length)).toEqual([500, 500, 1])
  expect(batches.flat().sort()).toEqual(names.sort())
})

it('fails where its folder cannot be made', async () => {
  await expect(diskBlobs('/proc/none/uploads')).rejects.toThrow(/ENOENT.*\/proc\/none/)
})

it('keeps blobs from other users of the machine', async () => {
  const folder = join(await temporaryFolder(), 'uploads')
  const blobs = await store(folder)
  await blobs.put('run/a', one('a'))
  const modes = await Promise.all(
    ['', 'run', 'run/a'].map(async (path) => (await stat(join(folder, path))).mode & 0o777),
  )
  expect(modes).toEqual([0o700, 0o700, 0o600])
})

/** Puts something else in the place of a function of the system until the test is over. */
function instead(name: 'writev' | 'fdatasync', other: (...args: never[]) => unknown) {
  const real = fs[name]
  const put = (value: unknown) => {
    Object.assign(fs, { [name]: value })
    syncBuiltinESMExports()
  }
  put(other)
  onTestFinished(() => put(real))
}

/** Writes the name of a function down whenever it has done its work. */
function note(calls: string[], name: 'writev' | 'fdatasync') {
  const real = fs[name] as (...args: unknown[]) => unknown
  instead(name, (...args: unknown[]) => {
    const done = args.at(-1)
    if (typeof done !== 'function') {
      calls.push(name)
      return real(...args)
    }
    return real(...args.slice(0, -1), (...answer: unknown[]) => {
      calls.push(name)
      done(...answer)
    })
  })
}

it.each([
  ['small', [1], ['writev', 'fdatasync', 'sync']],
  ['small, in batches', [1, 1], ['writev', 'fdatasync', 'sync']],
  ['large', [100_000, 1], ['writev', 'writev', 'fdatasync', 'sync']],
])('syncs the bytes, then the folder, before it says that they are stored: %s', async (_, sizes, expected) => {
  const folder = await temporaryFolder()
  const blobs = await store(folder)
  await blobs.put('run/first', one('opens the folder of the run'))
  const calls: string[] = []
  const handles = await everyFileHandle(folder)
  const { sync } = handles
  handles.sync = async function () {
    await sync.call(this)
    calls.push('sync')
  }
  onTestFinished(() => {
    handles.sync = sync
  })
  for (const name of ['writev', 'fdatasync'] as const) note(calls, name)
  await blobs.put('run/a', batchesOf(sizes))
  expect(calls).toEqual(expected)
})

it.each([[1], [100_000]])('goes on where a write of %i bytes took less than it was given', async (size) => {
  const blobs = await store()
  const { writev } = fs
  instead('writev', (fd: number, chunks: Buffer[], done: () => void) => {
    writev(fd, chunks.length > 1 ? [firstByte(chunks)] : chunks, done)
  })
  await blobs.put('run/a', batchesOf([2, size]))
  const reader = await blobs.open('run/a', 0, size + 2)
  expect((await reader?.read(size + 2))?.length).toBe(size + 2)
  await reader?.close()
})

it('deletes many blobs of a former run at once, one call for each', async () => {
  const folder = await temporaryFolder()
  const former = await diskBlobs(folder)
  const blobs = Array.from({ length: 30 }, (_, n) => `former/${n}`)
  for (const blob of blobs) await former.put(blob, batchesOf([1]))
  await former.close()
  const now = await diskBlobs(folder)
  await Promise.all(blobs.map((blob) => now.delete([blob])))
  expect(await readdir(folder)).toEqual([])
  await now.close()
})

it('leaves nothing of a blob whose bytes could not be synced', async () => {
  const blobs = await store()
  instead('fdatasync', (_fd: number, done: (error: Error) => void) => done(new Error('input/output error')))
  await expect(blobs.put('run/small', one('a'))).rejects.toThrow('input/output error')
  await expect(blobs.put('run/large', batchesOf([100_000]))).rejects.toThrow('input/output error')
  expect(await listed(blobs, 'run')).toEqual([])
})

it('leaves nothing of a blob whose bytes could not be written', async () => {
  const blobs = await store()
  instead('writev', (_fd: number, _chunks: Buffer[], done: (error: Error) => void) => {
    done(new Error('no space left on device'))
  })
  await expect(blobs.put('run/a', batchesOf([100_000, 100_000]))).rejects.toThrow('no space left on device')
  expect(await listed(blobs, 'run')).toEqual([])
})

it.each(['../escape', 'run/../../escape', 'run', 'run/a/b', '/etc/passwd', ''])(
  'has no blob called %j',
  async (blob) => {
    const blobs = await store()
    await expect(blobs.open(blob, 0, 0)).rejects.toThrow('not a blob id')
  },
)

it('removes the folder of a former run with its last blob', async () => {
  const folder = await temporaryFolder()
  const former = await store(folder)
  await former.put('former/a', one('a'))
  await former.put('former/b', one('b'))
  const blobs = await store(folder)
  await blobs.delete(['former/a'])
  expect(await readdir(folder)).toEqual(['former'])
  await blobs.delete(['former/b'])
  expect(await readdir(folder)).toEqual([])
})

it('leaves the folders of runs alone where a server may be writing into them', async () => {
  const folder = await temporaryFolder()
  await (await store(folder)).put('run/a', one('a'))
  const beside = await diskBlobs(folder, { shared: true })
  await beside.delete(['run/a'])
  expect(await readdir(folder)).toEqual(['run'])
})

it('removes the empty folder of a run that is closed', async () => {
  const folder = await temporaryFolder()
  await mkdir(join(folder, 'former'))
  const blobs = await store(folder)
  await blobs.closeRun('former')
  expect(await readdir(folder)).toEqual([])
})

it('takes no other folder for that of a run', async () => {
  const folder = await temporaryFolder()
  await mkdir(join(folder, 'lost+found'))
  await mkdir(join(folder, 'run'))
  expect(await (await store(folder)).runs()).toEqual(['run'])
})

it('says so when its folder is gone', async () => {
  const folder = join(await temporaryFolder(), 'uploads')
  const blobs = await store(folder)
  await blobs.check()
  await rmdir(folder)
  await expect(blobs.check()).rejects.toThrow()
})

it('passes on faults that are not absence', async () => {
  const folder = await temporaryFolder()
  const blobs = await store(folder)
  await mkdir(join(folder, 'run', 'a-folder'), { recursive: true })
  await writeFile(join(folder, 'a-file'), '')
  await expect(blobs.delete(['run/a-folder'])).rejects.toThrow()
  await expect(listed(blobs, 'a-file')).rejects.toThrow('ENOTDIR')
  await expect(blobs.open('a-file/a', 0, 0)).rejects.toThrow('ENOTDIR')
  await expect(blobs.closeRun('a-file')).rejects.toThrow('ENOTDIR')
  await expect(blobs.put('a-file/a', one('x'))).rejects.toThrow('EEXIST')
})

it('leaves nothing of a blob whose folder could not be synced', async () => {
  const folder = await temporaryFolder()
  const blobs = await store(folder)
  await blobs.put('run/first', one('opens the folder of the run'))
  const handles = await everyFileHandle(folder)
  const { sync } = handles
  handles.sync = () => Promise.reject(new Error('input/output error'))
  onTestFinished(() => {
    handles.sync = sync
  })
  await expect(blobs.put('run/a', one('a'))).rejects.toThrow('input/output error')
  expect(await listed(blobs, 'run')).toEqual(['run/first'])
})

it('opens a run folder again after it could not be made', async () => {
  const folder = await temporaryFolder()
  await writeFile(join(folder, 'run'), '')
  const blobs = await store(folder)
  await expect(blobs.put('run/a', one('a'))).rejects.toThrow('EEXIST')
  await unlink(join(folder, 'run'))
  await blobs.put('run/a', one('a'))
  expect(await listed(blobs, 'run')).toEqual(['run/a'])
})

it('gives whoever waits for a sync one that began after they came', async () => {
  const finish: (() => void)[] = []
  const sync = sharedSync(() => new Promise((resolve) => finish.push(resolve)))
  const first = sync()
  const second = sync()
  const third = sync()
  expect(finish).toHaveLength(1)
  finish[0]?.()
  await first
  await new Promise(setImmediate)
  expect(finish).toHaveLength(2)
  expect(second).toBe(third)
  finish[1]?.()
  await second
  const fourth = sync()
  expect(finish).toHaveLength(3)
  finish[2]?.()
  await fourth
})

it('tries again after a sync that failed', async () => {
  let fail = true
  const sync = sharedSync(async () => {
    if (fail) throw new Error('input/output error')
  })
  await expect(sync()).rejects.toThrow('input/output error')
  const failing = sync()
  const waiting = sync()
  await expect(failing).rejects.toThrow('input/output error')
  await expect(waiting).rejects.toThrow('input/output error')
  fail = false
  await expect(sync()).resolves.toBeUndefined()
})

describe('a disk that was unmounted', () => {
  it.each([
    ['with an empty folder in its place', (folder: string) => mkdir(folder)],
    ['with nothing in its place', async () => {}],
  ])('%s has no missing blob, and gets none', async (_, leave) => {
    const folder = await temporaryFolder()
    const blobs = await store(folder)
    await blobs.put('run/a', one('a'))
    await rename(folder, `${folder}-away`)
    await leave(folder)
    const refused = [
      blobs.open('run/a', 0, 1),
      blobs.length('run/a'),
      blobs.delete(['run/a']),
      blobs.put('run/b', one('b')),
      blobs.put('other/b', one('b')),
      listed(blobs, 'run'),
      blobs.runs(),
      blobs.check(),
      blobs.probe(),
    ]
    for (const act of await Promise.allSettled(refused)) {
      expect(act).toMatchObject({ status: 'rejected', reason: { code: 'EUNREACHABLE' } })
    }
    await rm(folder, { recursive: true, force: true })

    await rename(`${folder}-away`, folder)
    await blobs.check()
    expect(await blobs.length('run/a')).toBe(1)
    await blobs.put('run/b', one('b'))
    expect((await listed(blobs, 'run')).sort()).toEqual(['run/a', 'run/b'])
  })

  it('may come back under another number', async () => {
    const folder = await temporaryFolder()
    const blobs = await store(folder)
    await blobs.put('run/a', one('a'))
    await rename(folder, `${folder}-former`)
    onTestFinished(() => rm(`${folder}-former`, { recursive: true }))
    await cp(`${folder}-former`, folder, { recursive: true })
    expect(await blobs.open('run/none', 0, 1)).toBeNull()
    await blobs.put('run/b', one('b'))
    expect((await readdir(join(folder, 'run'))).sort()).toEqual(['a', 'b'])
    await blobs.check()
  })
})

import { lstat, mkdir, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { blobCopies } from '../../src/adapters/disk/copies.ts'
import { contentsBut, overlap } from '../../src/adapters/disk/folders.ts'
import { temporaryFolder } from '../support/app.ts'

/** A folder with the blobs `run/a` of 1 byte and `run/b` of 2, and an empty one. */
async function folders() {
  const [from, to] = [await temporaryFolder(), await temporaryFolder()]
  await mkdir(join(from, 'run'))
  await writeFile(join(from, 'run', 'a'), '1')
  await writeFile(join(from, 'run', 'b'), '22')
  return { from, to, copies: await blobCopies(from, to) }
}

const A = { blob: 'run/a', bytes: 1 }
const B = { blob: 'run/b', bytes: 2 }

it('copies each blob once, whole, and for its owner alone', async () => {
  const { to, copies } = await folders()
  expect(await copies.take([A])).toEqual(['copied'])
  expect(await copies.take([A, B])).toEqual(['kept', 'copied'])
  expect((await stat(join(to, 'run', 'b'))).mode & 0o777).toBe(0o600)
  const all = []
  for await (const run of copies.all()) all.push(...run)
  expect(all.sort()).toEqual(['run/a', 'run/b'])
  await copies.remove(['run/a'])
  expect(await readdir(join(to, 'run'))).toEqual(['b'])
})

it('takes nothing that is not there, or of another length', async () => {
  const { copies } = await folders()
  const wanted = [A, { ...B, bytes: 3 }, { blob: 'run/c', bytes: 1 }]
  expect(await copies.lacking(wanted)).toEqual([null, 'damaged', 'missing'])
  expect(await copies.take(wanted)).toEqual(['copied', 'damaged', 'missing'])
  await expect(copies.take([{ blob: '../a', bytes: 1 }])).rejects.toThrow('not a blob id')
})

it('follows no link out of the folder', async () => {
  const { from, to, copies } = await folders()
  const secret = join(await temporaryFolder(), 'secret')
  await writeFile(secret, '1')
  await mkdir(join(to, 'run'))
  for (const folder of [from, to]) await symlink(secret, join(folder, 'run', 'c'))
  await symlink(join(from, 'run'), join(from, 'other'))
  const wanted = [
    { blob: 'run/c', bytes: 1 },
    { blob: 'other/a', bytes: 1 },
  ]
  expect(await copies.lacking(wanted)).toEqual(['damaged', 'damaged'])
  expect(await copies.take(wanted)).toEqual(['damaged', 'damaged'])
  await rm(join(from, 'run', 'c'))
  await writeFile(join(from, 'run', 'c'), '1')
  expect(await copies.take([{ blob: 'run/c', bytes: 1 }])).toEqual(['copied'])
  expect((await lstat(join(to, 'run', 'c'))).isFile()).toBe(true)
})

it('copies again what is of another length', async () => {
  const { to, copies } = await folders()
  await mkdir(join(to, 'run'))
  await writeFile(join(to, 'run', 'b'), '2')
  expect(await copies.take([B])).toEqual(['copied'])
})

it('removes what a former try left unfinished', async () => {
  const { from, to } = await folders()
  await mkdir(join(to, 'run'))
  await writeFile(join(to, 'run', 'a.part'), '1')
  await blobCopies(from, to)
  expect(await readdir(join(to, 'run'))).toEqual([])
})

it('leaves nothing unfinished where copying fails, and passes on faults that are not absence', async () => {
  const { from, to, copies } = await folders()
  await mkdir(join(to, 'run', 'a'), { recursive: true })
  await writeFile(join(to, 'run', 'a', 'in-the-way'), '')
  const { size } = await stat(join(to, 'run', 'a'))
  expect(size).not.toBe(1)
  await expect(copies.take([A])).rejects.toThrow()
  expect(await readdir(join(to, 'run'))).toEqual(['a'])
  await writeFile(join(from, 'a-file'), '')
  await expect(copies.lacking([{ blob: 'a-file/a', bytes: 1 }])).rejects.toThrow('ENOTDIR')
})

it('knows folders that lie in one another, also by links, and where they are not made yet', async () => {
  const folder = await temporaryFolder()
  await mkdir(join(folder, 'data'))
  await symlink(join(folder, 'data'), join(folder, 'link'))
  expect(overlap(folder, join(folder, 'data'))).toBe(true)
  expect(overlap(join(folder, 'data', 'new', 'newer'), join(folder, 'data'))).toBe(true)
  expect(overlap(join(folder, 'link', 'new'), join(folder, 'data'))).toBe(true)
  expect(overlap(join(folder, 'data'), join(folder, 'data-2'))).toBe(false)
  expect(overlap(join(folder, '..data'), folder)).toBe(true)
})

it('knows what is in a folder', async () => {
  const folder = await temporaryFolder()
  await writeFile(join(folder, 'a'), '')
  await writeFile(join(folder, 'b'), '')
  expect(contentsBut(folder, ['a'])).toEqual(['b'])
  expect(contentsBut(join(folder, 'none'), [])).toEqual([])
})

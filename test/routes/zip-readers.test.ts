/** What we export, in the hands of the programs that people have. */
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { entryNames } from '../../src/http/zip/entry-names.ts'
import { describeWithProgram, outputOf } from '../support/programs.ts'
import { unzipForward } from '../support/unzip.ts'
import { entry, zipOfEntries, zipped } from '../support/zipped.ts'

const COMMONS_COMPRESS = '/usr/share/java/commons-compress.jar'
const support = (file: string) => join(import.meta.dirname, '../support', file)
const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

const contents = new Map<string, Buffer>()
let zip: Buffer
let path: string
let folder: string

beforeAll(async () => {
  // A zip in a zip has the signatures of a zip in its bytes.
  const inner = await zipped(['inner', Buffer.from('x')], ['more', randomBytes(1000)])
  const names = [
    'IMG_1.JPG',
    'img_1.jpg',
    'É.jpg',
    'é.jpg',
    'CON',
    'AUX.jpg',
    'what?.txt',
    'trail.',
    'trail ',
    '日本 🏖.jpg',
  ]
  const { nameFor } = entryNames()
  for (const name of names) contents.set(`files/${nameFor(name)}`, Buffer.from(`bytes of ${name}`))
  contents.set('files/empty', Buffer.alloc(0))
  contents.set('files/inner.zip', inner)
  for (const size of [1, 65_534, 65_535, 65_536, 131_070, 3_000_000]) contents.set(`files/${size}`, randomBytes(size))
  contents.set('account.json', Buffer.from('{}'))
  zip = await zipped(...contents)
  folder = await mkdtemp(join(tmpdir(), 'minikeepsafe-'))
  path = join(folder, 'export.zip')
  await writeFile(path, zip)
})

afterAll(() => rm(folder, { recursive: true, force: true }))

/** The files below a folder with their digests. */
async function unpacked(below: string): Promise<Record<string, string>> {
  const entries = await readdir(below, { recursive: true, withFileTypes: true })
  const paths = entries.filter((entry) => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name))
  return Object.fromEntries(
    await Promise.all(paths.map(async (one) => [one.slice(below.length + 1), sha256(await readFile(one))])),
  )
}

const digests = () => Object.fromEntries([...contents].map(([name, bytes]) => [name, sha256(bytes)]))

async function newFolder(name: string): Promise<string> {
  const below = join(folder, name)
  await mkdir(below)
  return below
}

/** Of lines with SHA-256, size and name in hex. */
function linesOf(output: Buffer): Record<string, string> {
  const lines = output.toString().trim().split('\n')
  return Object.fromEntries(
    lines.map((line) => {
      const [digest, , name] = line.split(' ') as [string, string, string]
      return [Buffer.from(name, 'hex').toString(), digest]
    }),
  )
}

it('a reader that never seeks finds every file', () => {
  expect(Object.fromEntries([...unzipForward(zip)].map(([name, bytes]) => [name, sha256(bytes)]))).toEqual(digests())
})

describeWithProgram('unzip', 'unzip')('unzip', () => {
  it('unpacks every file', async () => {
    const below = await newFolder('unzip')
    await outputOf('unzip', ['-q', path, '-d', below])
    expect(await unpacked(below)).toEqual(digests())
  })
})

describeWithProgram('7z', 'p7zip-full')('7-Zip', () => {
  it('unpacks every file and finds nothing to warn of', async () => {
    const below = await newFolder('7z')
    const said = await outputOf('7z', ['x', `-o${below}`, path])
    expect(String(said)).toContain('Everything is Ok')
    expect(String(said)).not.toMatch(/warning/i)
    expect(await unpacked(below)).toEqual(digests())
  })
})

describeWithProgram('bsdtar', 'libarchive-tools')('bsdtar', () => {
  it('unpacks every file from a pipe', async () => {
    const below = await newFolder('bsdtar')
    await outputOf('bsdtar', ['-xf', '-', '-C', below], [zip])
    expect(await unpacked(below)).toEqual(digests())
  })
})

/** Readers that know one of the fields with the time have the year. The others have the first year of the format. */
describe('a picture of 1955', () => {
  const readers = [
    ['unzip', 'unzip', ['-q'], 1980],
    ['7z', 'p7zip-full', ['x'], 1955],
    ['bsdtar', 'libarchive-tools', ['-xf'], 1980],
  ] as const
  for (const [program, debian, options, year] of readers) {
    describeWithProgram(program, debian)(program, () => {
      it(`unpacks it with the year ${year}`, async () => {
        const below = await newFolder(`${program}-1955`)
        const old = join(below, 'old.zip')
        await writeFile(old, await zipOfEntries({ ...entry('old.jpg', 'old'), modifiedAt: Date.UTC(1955, 6, 1, 12) }))
        const into = { unzip: ['-d', below], '7z': [`-o${below}`], bsdtar: ['-C', below] }[program]
        await outputOf(program, [...options, old, ...into])
        expect((await stat(join(below, 'old.jpg'))).mtime.getFullYear()).toBe(year)
      })
    })
  }
})

describeWithProgram('python3', 'python3')('zipfile of Python', () => {
  it('unpacks every file', async () => {
    const below = await newFolder('python')
    await outputOf('python3', ['-m', 'zipfile', '-e', path, below])
    expect(await unpacked(below)).toEqual(digests())
  })
})

describeWithProgram('java', 'default-jdk-headless')('Java', () => {
  it('reads every file from a stream with ZipInputStream', async () => {
    expect(linesOf(await outputOf('java', [support('ReadZip.java')], [zip]))).toEqual(digests())
  }, 60_000)

  describeWithProgram(COMMONS_COMPRESS, 'libcommons-compress-java')('with Apache commons-compress', () => {
    it('reads every file from a stream with ZipArchiveInputStream', async () => {
      const program = support('ReadZipWithCommonsCompress.java')
      const output = await outputOf('java', ['-cp', COMMONS_COMPRESS, program], [zip])
      expect(linesOf(output)).toEqual(digests())
    }, 60_000)
  })
})

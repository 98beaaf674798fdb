/** What a phone changes in its vault: each act knows the state after it. */
import type { Client } from '../../clients/typescript/src/client.ts'
import type { Random } from './random.ts'
import type { Raw } from './raw.ts'
import { MARKS } from './settings.ts'
import { type Kept, liveOf, type State, sha256, type Trashed, without } from './state.ts'

export interface Act {
  kind: string
  /** Resolves with what the vault has told once it has acknowledged the act. */
  run(): Promise<Told>
  after(state: State, told: Told): State
  /** Whether it was carried out, where the lists of files do not show it. */
  happened?(): Promise<boolean>
}

export interface Told {
  id?: string
  name?: string
}

export interface Hands {
  client: Client
  raw: Raw
  random: Random
  now(): number
}

const MiB = 1024 * 1024
const MOST_FILES = 30
const MOST_TRASH = 30
const LARGE = 2
/** The client sends it in pieces. */
const LARGE_BYTES = 4 * MiB + 1
const isLarge = ({ size }: Kept) => size > MiB

type Make = (hands: Hands, state: State) => Act | null

/** One that is possible in this state. */
export function someAct(hands: Hands, state: State): Act {
  const { random } = hands
  if (state.live.length > MOST_FILES) return remove(hands, state) as Act
  if (state.trash.length > MOST_TRASH) return empty(hands)
  for (;;) {
    const act = (random.pick(ACTS) as Make)(hands, state)
    if (act) return act
  }
}

const upload: Make = ({ client, random }, state) => {
  const bytes = contentOf(random, state)
  const file = newFile(random, state, bytes)
  return {
    kind: 'upload',
    run: async () =>
      (await client.upload(bytes, { name: file.name, ...(file.takenAt && { takenAt: file.takenAt }) })).file,
    after: (now, { id = '' }) => ({ ...now, live: [...now.live, { ...file, id }] }),
  }
}

/** The same bytes under another name: the client sends nothing. */
const uploadAgain: Make = ({ client, raw, random }, state) => {
  const known = random.pick(state.live.filter((file) => !isLarge(file)))
  if (!known) return null
  return {
    kind: 'upload again',
    async run() {
      const bytes = await raw.bytesOf(known.name)
      const { outcome } = await client.upload(bytes, { name: newName(random, state) })
      if (outcome !== 'found') throw new Error(`bytes that the vault has were ${outcome}`)
      return {}
    },
    after: (now) => now,
  }
}

const form: Make = ({ raw, random }, state) => {
  const bytes = smallContent(random)
  const taken = random.chance(0.3) ? random.pick(state.live) : undefined
  const file = newFile(random, state, bytes)
  const name = taken ? numbered(taken.name, state) : file.name
  return {
    kind: 'form',
    run: () => raw.form(taken?.name ?? name, bytes, file.takenAt),
    after: (now, { id = '' }) => ({ ...now, live: [...now.live, { ...file, id, name }] }),
  }
}

const put: Make = ({ raw, random }, state) => {
  // Empty files are equal, so the other acts would find one instead of storing one.
  const bytes = random.chance(0.1) ? Buffer.alloc(0) : smallContent(random)
  const file = newFile(random, state, bytes)
  return {
    kind: 'put',
    run: () => raw.put(file.name, bytes, { takenAt: file.takenAt }),
    after: (now, { id = '' }) => ({ ...now, live: [...now.live, { ...file, id }] }),
  }
}

const tus: Make = ({ raw, random }, state) => {
  const bytes = random.chance(0.2) ? contentOf(random, state) : smallContent(random)
  const file = { ...newFile(random, state, bytes), takenAt: null }
  return {
    kind: 'tus',
    run: () => raw.tus(file.name, bytes, random),
    after: (now, { id = '' }) => ({ ...now, live: [...now.live, { ...file, id }] }),
  }
}

const replace: Make = ({ raw, random, now }, state) => {
  const old = random.pick(state.live)
  if (!old) return null
  const bytes = smallContent(random)
  const discard = random.chance(0.3)
  const ifMatch = random.chance(0.5) ? `"${old.sha256}"` : undefined
  const file: Kept = { ...old, sha256: sha256(bytes), size: bytes.length, takenAt: null, picture: null }
  return {
    kind: discard ? 'replace, discard' : 'replace',
    run: () => raw.put(old.name, bytes, { discard, ...(ifMatch && { ifMatch }) }),
    after: (state) => ({
      live: [...state.live.filter(({ name }) => name !== old.name), file],
      trash: discard ? state.trash : [...state.trash, { ...old, id: '', deletedAt: now() }],
    }),
  }
}

const rename: Make = ({ client, random }, state) => {
  const file = random.pick(state.live)
  if (!file) return null
  const name = newName(random, state)
  return {
    kind: 'rename',
    run: () => client.rename(file.name, name),
    after: (now) => ({ ...now, live: [...without(now.live, file), { ...file, name }] }),
  }
}

const redate: Make = ({ client, random }, state) => {
  const file = random.pick(state.live)
  if (!file) return null
  const takenAt = random.chance(0.2) ? null : someDate(random)
  return {
    kind: 'date',
    run: () => client.update(file.name, { takenAt }),
    after: (now) => ({ ...now, live: [...without(now.live, file), { ...file, takenAt }] }),
  }
}

const remove: Make = ({ client, random, now }, state) => {
  const large = state.live.filter(isLarge)
  const file = random.pick(large.length > LARGE ? large : state.live)
  if (!file) return null
  return {
    kind: 'delete',
    run: () => nothingTold(client.remove(file.name)),
    after: (state) => ({
      live: without(state.live, file),
      trash: [...state.trash, { ...file, deletedAt: now() }],
    }),
  }
}

const restore: Make = ({ client, random }, state) => {
  const entry = random.pick(state.trash.filter(({ id }) => id !== ''))
  if (!entry) return null
  const { deletedAt: _, ...file } = entry
  const name = liveOf(state, entry.name) ? numbered(entry.name, state) : entry.name
  const hasBytes = state.live.some(({ sha256, name }) => sha256 === entry.sha256 && name.startsWith(stemOf(entry.name)))
  if (hasBytes) return null
  return {
    kind: 'restore',
    run: () => client.trash.restore(entry.id, { onConflict: 'rename' }),
    after: (now) => ({ live: [...now.live, { ...file, name }], trash: without(now.trash, entry) }),
  }
}

const purge: Make = ({ client, random }, state) => {
  const known = state.trash.filter(({ id }) => id !== '')
  const large = known.filter(isLarge)
  const entry: Trashed | undefined = random.pick(large.length > 0 ? large : known)
  if (!entry) return null
  return {
    kind: 'purge',
    run: () => nothingTold(client.trash.remove(entry.id)),
    after: (now) => ({ ...now, trash: without(now.trash, entry) }),
  }
}

const empty = ({ client }: Hands): Act => ({
  kind: 'empty the trash',
  run: () => nothingTold(client.trash.empty()),
  after: (now) => ({ ...now, trash: [] }),
})

const thumbnail: Make = ({ client, random }, state) => {
  const file = random.pick(state.live)
  if (!file) return null
  const with_ = (picture: Kept['picture']) => (now: State) => ({
    ...now,
    live: [...without(now.live, file), { ...file, picture }],
  })
  if (file.picture && random.chance(0.2)) {
    return {
      kind: 'remove thumbnail',
      run: () => nothingTold(client.thumbnail.remove(file.name)),
      after: with_(null),
    }
  }
  const bytes = random.bytes(1000 + random.int(20_000))
  return {
    kind: 'thumbnail',
    run: () => nothingTold(client.thumbnail.put(file.name, bytes, { type: 'image/jpeg', ifMatch: `"${file.sha256}"` })),
    after: with_({ sha256: sha256(bytes), size: bytes.length }),
    happened: async () => {
      const there = (await client.find(file.name))?.thumbnail ? await client.thumbnail.get(file.name) : new Blob()
      return bytes.equals(Buffer.from(await there.arrayBuffer()))
    },
  }
}

async function nothingTold(done: Promise<void>): Promise<Told> {
  await done
  return {}
}

/** Uploads first: otherwise the vault stays empty. */
const ACTS: Make[] = [
  ...[upload, upload, upload, form, form, put, put, tus, tus],
  ...[replace, replace, rename, redate, remove, remove, restore, purge, thumbnail, thumbnail, uploadAgain],
]

function newFile(random: Random, state: State, bytes: Buffer): Kept {
  const takenAt = random.chance(0.5) ? someDate(random) : null
  return { id: '', name: newName(random, state), sha256: sha256(bytes), size: bytes.length, takenAt, picture: null }
}

function newName(random: Random, state: State): string {
  const name = `${MARKS.name} ${random.int(1_000_000)}.jpg`
  return liveOf(state, name) ? newName(random, state) : name
}

const stemOf = (name: string) => name.replace(/( \(\d+\))*\.jpg$/, '')

/** The name that the vault gives for `onConflict=rename`. */
function numbered(name: string, state: State): string {
  for (let n = 1; ; n += 1) {
    const candidate = name.replace(/\.jpg$/, ` (${n}).jpg`)
    if (!liveOf(state, candidate)) return candidate
  }
}

/** Never equal to another content. */
const smallContent = (random: Random) => random.bytes(16 + random.int(60_000))

/** Now and then one that is sent in pieces. */
function contentOf(random: Random, state: State): Buffer {
  const mayBeLarge = state.live.filter(isLarge).length < LARGE && state.trash.filter(isLarge).length < LARGE
  return mayBeLarge && random.chance(0.15) ? random.bytes(LARGE_BYTES + random.int(2 * MiB)) : smallContent(random)
}

const someDate = (random: Random) => new Date(Date.UTC(2020, 0, 1) + random.int(2 ** 31) * 60).toISOString()

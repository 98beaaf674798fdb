/**
 * SIGKILL at any moment of uploads, replacements, renames, deletions, restorations and purges: what was acknowledged is
 * there, what was under way has happened or has not, nothing is left over, and what is used adds up.
 */
import { createHash, randomBytes, randomInt } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { blobsIn, temporaryFolder } from '../support/app.ts'
import { type ServerProcess, serverProcess, signedIn } from '../support/process.ts'

/** Each run has other moments. `KILL_ROUNDS` prolongs it. */
const ROUNDS = Number(process.env.KILL_ROUNDS ?? 100)
const LANES = 8
const NAMES = 3
/** Nobody was told it. */
const UNKNOWN = 'unknown'

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
const pick = <T>(from: T[]): T | undefined => from[randomInt(Math.max(1, from.length))]

interface Kept {
  id: string
  name: string
  sha256: string
  size: number
}

/** What one lane has, by its own account; lanes share no names. */
interface State {
  live: Kept[]
  trash: Kept[]
}

interface Act {
  path: string
  method: string
  body?: Buffer | string
  /** The state after it. `id` is the file's, once it is known. */
  after(state: State, id: string): State
}

const without = (list: Kept[], { id }: Kept) => list.filter((file) => file.id !== id)

/** Something that can be done in this state. */
function someAct(lane: number, state: State): Act {
  const { live, trash } = state
  const name = `lane-${lane}-${randomInt(NAMES)}`
  const standing = live.find((file) => file.name === name)
  const kind = randomInt(10)
  if (standing && kind < 2) {
    return {
      path: `/v1/files/${name}`,
      method: 'DELETE',
      after: (now) => ({ live: without(now.live, standing), trash: [...now.trash, standing] }),
    }
  }
  const other = pick(live.filter((file) => file.name !== name))
  if (!standing && other && kind < 5) {
    const after = (now: State) => ({ ...now, live: [...without(now.live, other), { ...other, name }] })
    return { path: `/v1/files/${other.name}`, method: 'PATCH', body: JSON.stringify({ name }), after }
  }
  const deleted = pick(trash.filter(({ id }) => id !== UNKNOWN))
  if (deleted && kind < 7) {
    if (kind === 5 && !live.some((file) => file.name === deleted.name)) {
      const after = (now: State) => ({ live: [...now.live, deleted], trash: without(now.trash, deleted) })
      return { path: `/v1/trash/${deleted.id}/restore`, method: 'POST', after }
    }
    const after = (now: State) => ({ ...now, trash: without(now.trash, deleted) })
    return { path: `/v1/trash/${deleted.id}`, method: 'DELETE', after }
  }
  const body = randomBytes(randomInt(12) === 0 ? randomInt(3_000_000) : randomInt(90_000))
  const kept = randomInt(2) === 0 ? standing : undefined
  const after = (now: State, id: string) => ({
    // The versions of a name are told apart by their bytes; the one that goes to the trash gets its id there.
    trash: kept ? [...now.trash, { ...kept, id: UNKNOWN }] : now.trash,
    live: [...now.live.filter((file) => file.name !== name), { id, name, sha256: sha256(body), size: body.length }],
  })
  return { path: `/v1/files/${name}${kept ? '' : '?replaced=discard'}`, method: 'PUT', body, after }
}

/** Acts until the server is gone; answers what may be there then: the last acknowledged state, and the one after it. */
async function work(
  server: ServerProcess,
  headers: Record<string, string>,
  lane: number,
  start: State,
): Promise<State[]> {
  let state = start
  for (;;) {
    const { path, method, body, after } = someAct(lane, state)
    const type = method === 'PATCH' ? { 'content-type': 'application/json' } : {}
    const call = { method, headers: { ...headers, ...type }, ...(body !== undefined && { body }) }
    const answer = await server.request(path, call).catch(() => null)
    if (!answer) return [state, after(state, UNKNOWN)]
    expect(answer.status, `${method} ${path}: ${answer.bytes}`).toBeLessThan(300)
    state = after(state, (answer.body as { id?: string }).id ?? '')
  }
}

/** All that the server has, page by page. */
async function everything(server: ServerProcess, headers: Record<string, string>): Promise<State> {
  const list = async (path: string) => {
    const { body } = await server.request(`${path}?limit=1000`, { headers })
    const { files, nextCursor } = body as { files: Kept[]; nextCursor: string | null }
    expect(nextCursor).toBeNull()
    return files.map(({ id, name, sha256: digest, size }) => ({ id, name, sha256: digest, size }))
  }
  return { live: await list('/v1/files'), trash: await list('/v1/trash') }
}

const ofLane = (lane: number, { live, trash }: State): State => ({
  live: live.filter(({ name }) => name.startsWith(`lane-${lane}-`)),
  trash: trash.filter(({ name }) => name.startsWith(`lane-${lane}-`)),
})

/** Without ids, which nobody was told of an act that was not acknowledged. */
const shape = ({ live, trash }: State) => {
  const lines = (list: Kept[]) => list.map((file) => `${file.name} ${file.sha256} ${file.size}`).sort()
  return JSON.stringify([lines(live), lines(trash)])
}

it(`keeps its word through ${ROUNDS} kills`, async () => {
  const folder = await temporaryFolder()
  let server = serverProcess(folder, {})
  const headers = await signedIn(server)
  let states = Array.from({ length: LANES }, (): State => ({ live: [], trash: [] }))
  let acts = 0

  for (let round = 0; round < ROUNDS; round += 1) {
    const running = server
    const working = Promise.all(states.map((state, lane) => work(running, headers, lane, state)))
    // What goes wrong in a lane is told once all of them are over.
    working.catch(() => {})
    await pause(randomInt(10, 250))
    await running.stop('SIGKILL')
    const candidates = await working

    server = serverProcess(folder, {})
    const found = await everything(server, headers)
    states = candidates.map((possible, lane) => {
      const there = ofLane(lane, found)
      expect(possible.map(shape), `round ${round}, lane ${lane}`).toContain(shape(there))
      acts += shape(there) === shape(states[lane] as State) ? 0 : 1
      return there
    })

    for (const file of found.live) {
      const { bytes } = await server.request(`/v1/files/${file.name}`, { headers })
      expect(sha256(bytes), `round ${round}, ${file.name}`).toBe(file.sha256)
    }
    const all = [...found.live, ...found.trash]
    const { usage } = (await server.request('/v1/me', { headers })).body as { usage: unknown }
    const bytes = all.reduce((sum, { size }) => sum + size, 0)
    expect(usage).toEqual({ files: found.live.length, trashFiles: found.trash.length, bytes })
    await expect.poll(async () => (await blobsIn(folder)).length, { timeout: 20_000 }).toBe(all.length)
  }
  expect(acts).toBeGreaterThan(ROUNDS)
}, 1_200_000)

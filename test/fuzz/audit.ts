/** At the end of a round: each vault holds what was acknowledged, hands it out unchanged, and counts it rightly. */
import type { Crew, Session } from './crew.ts'
import type { Answer } from './line.ts'
import { jsonOf } from './memory.ts'
import type { Kept } from './model.ts'
import { sha256 } from './oracles.ts'

const MOST_OF_A_THUMBNAIL = 256 * 1024

type Get = (target: string, token: string) => Promise<Answer | null>

export async function audit(crew: Crew, get: Get): Promise<string[]> {
  const users = new Map(crew.sessions().map((session) => [session.userId, session]))
  const faults: string[] = []
  for (const session of users.values()) faults.push(...(await auditUser(crew, session, get)))
  return faults
}

async function auditUser(crew: Crew, { userId, token }: Session, get: Get): Promise<string[]> {
  const me = await get('/v1/me', token)
  // Of sessions that others use it is not known which are left.
  if (me?.status === 401 && !crew.alone) return []
  const live = await all('/v1/files', token, get)
  const trash = await all('/v1/trash', token, get)
  if (!live || !trash) return ['audit: a list cannot be read']
  const faults: string[] = []
  const model = crew.modelOf(userId)
  if (model) {
    faults.push(...differences('live', live, [...model.live.values()]))
    const known = trash.filter((file) => model.trash.has(file.id) || !model.wasReplaced(file))
    faults.push(...differences('trash', known, [...model.trash.values()]))
  }
  for (const { name, sha256: wanted } of live) {
    const answer = await get(`/v1/files/${encodeURIComponent(name)}`, token)
    if (answer?.status !== 200 || sha256(answer.body) !== wanted)
      faults.push('audit: a file is not what was acknowledged')
  }
  const open = jsonOf((await get('/v1/uploads', token))?.body ?? Buffer.alloc(0)) as
    | { uploads: { offset: number }[] }
    | undefined
  const sizes = [...live.map(({ size }) => size), ...trash.map(({ size }) => size)]
  const bytes = [...sizes, ...(open?.uploads ?? []).map(({ offset }) => offset)].reduce((sum, size) => sum + size, 0)
  const counted = (jsonOf(me?.body ?? Buffer.alloc(0)) as { usage?: { bytes?: number } } | undefined)?.usage
  // Nobody is told the size of a thumbnail in the trash.
  const thumbnails = [...live, ...trash].filter(({ thumbnail }) => thumbnail !== null).length
  const thumbnailBytes = (counted?.bytes ?? 0) - bytes
  const isPlausible = thumbnails <= thumbnailBytes && thumbnailBytes <= thumbnails * MOST_OF_A_THUMBNAIL
  const actual = { files: live.length, trashFiles: trash.length, bytes: bytes + (isPlausible ? thumbnailBytes : 0) }
  if (JSON.stringify(counted) !== JSON.stringify(actual)) {
    faults.push(`audit: counted ${JSON.stringify(counted)}, and there are ${JSON.stringify(actual)}`)
  }
  return faults
}

async function all(path: string, token: string, get: Get): Promise<Kept[] | null> {
  const found: Kept[] = []
  for (let cursor: string | null = ''; cursor !== null; ) {
    const answer = await get(`${path}?limit=7${cursor && `&cursor=${cursor}`}`, token)
    const page = jsonOf(answer?.body ?? Buffer.alloc(0)) as { files: Kept[]; nextCursor: string | null } | undefined
    if (answer?.status !== 200 || !page) return null
    found.push(...page.files)
    cursor = page.nextCursor
  }
  return found
}

function differences(where: string, found: Kept[], expected: Kept[]): string[] {
  const keysOf = (files: Kept[]) => files.map(({ id, name, sha256 }) => `${id} ${name} ${sha256}`)
  const [has, wanted] = [new Set(keysOf(found)), new Set(keysOf(expected))]
  return [
    ...[...wanted].filter((key) => !has.has(key)).map((key) => `audit: not among the ${where} files: ${key}`),
    ...[...has].filter((key) => !wanted.has(key)).map((key) => `audit: too much among the ${where} files: ${key}`),
  ]
}

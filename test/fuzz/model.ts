/** What the vault of one user must hold, by the answers that the user had. Requests of one user come one at a time. */
import type { Route } from './document.ts'
import type { Answer } from './line.ts'
import { jsonOf } from './memory.ts'
import { sha256 } from './oracles.ts'

export interface Kept {
  id: string
  name: string
  size: number
  sha256: string
  thumbnail: string | null
}

export interface Model {
  live: Map<string, Kept>
  trash: Map<string, Kept>
  /** Whether a file is a version that was replaced. It may be in the trash, under an id that no answer tells. */
  wasReplaced(file: Kept): boolean
  /** Applies what an answer tells; answers where it cannot be true. */
  apply(route: Route, method: string, answer: Answer): string[]
}

export function model(): Model {
  const live = new Map<string, Kept>()
  const trash = new Map<string, Kept>()
  const replaced = new Set<string>()
  const versionOf = ({ name, sha256 }: Kept) => `${name} ${sha256}`

  /** `file` is undefined where the upload is not complete. */
  function complete(file: Kept | undefined) {
    if (!file) return
    const former = live.get(file.name)
    if (former && former.sha256 !== file.sha256) replaced.add(versionOf(former))
    live.set(file.name, file)
  }

  /** What becomes of the files where an operation went well. */
  const effects: Record<string, (params: Route['params'], file: Kept) => void> = {
    putFile: (_params, file) => complete(file),
    uploadForm: (_params, file) => complete(file),
    createUpload: (_params, file) => complete(file),
    appendUpload: (_params, file) => complete(file),
    renameFile: ({ name = '' }, file) => {
      live.delete(name)
      live.set(file.name, file)
    },
    deleteFile: ({ name = '' }) => {
      const file = live.get(name)
      if (file) trash.set(file.id, file)
      live.delete(name)
    },
    restoreFile: ({ id = '' }, file) => {
      trash.delete(id)
      live.set(file.name, file)
    },
    deleteForGood: ({ id = '' }) => trash.delete(id),
    emptyTrash: () => trash.clear(),
  }

  /** Where a file of this name or id must be, for an operation to find it. */
  function isThere({ operation, params }: Route): boolean | null {
    if (params.name !== undefined) return live.has(params.name)
    if (params.id === undefined || !operation.path.startsWith('/v1/trash/')) return null
    return trash.has(params.id) || (replaced.size > 0 ? null : false)
  }

  function faultsOf(route: Route, { status, headers, body }: Answer, method: string): string[] {
    const there = isThere(route)
    const isThumbnail = route.operation.path.endsWith('/thumbnail')
    const makes = route.operation.method === 'PUT' && !isThumbnail
    if (there === true && status === 404 && !isThumbnail) return ['404 for a file that is there']
    if (there === false && status < 400 && !makes) return [`${status} for a file that is not there`]
    if (route.operation.id !== 'getFile' || method === 'HEAD' || status !== 200) return []
    const kept = live.get(route.params.name ?? '')
    const same = kept && sha256(body) === kept.sha256 && headers.etag === `"${kept.sha256}"`
    return same ? [] : ['other bytes than were uploaded']
  }

  return {
    live,
    trash,
    wasReplaced: (file) => replaced.has(versionOf(file)),
    apply(route, method, answer) {
      const faults = faultsOf(route, answer, method)
      const effect = answer.status < 300 ? effects[route.operation.id] : undefined
      if (effect) effect(route.params, jsonOf(answer.body) as Kept)
      return faults
    },
  }
}

/** What a phone looks at. Each look compares the vault with what the phone knows. */
import { isDeepStrictEqual } from 'node:util'
import { isVaultError } from '../../clients/typescript/src/errors.ts'
import { unzip } from '../support/unzip.ts'
import type { Hands } from './acts.ts'
import { differenceOf, everythingOf, type State, sha256 } from './state.ts'

export interface Look {
  kind: string
  /** Returns what is wrong, or `null`. */
  run(hands: Hands, state: State): Promise<string | null>
}

const list: Look = {
  kind: 'list',
  run: async ({ client, now }, state) => differenceOf(await everythingOf(client), state, now()),
}

const timeline: Look = {
  kind: 'timeline',
  async run({ client }, { live }) {
    let count = 0
    for await (const month of client.timeline({ pageSize: 10 })) count += month.files
    return count === live.length ? null : `the timeline has ${count} files of ${live.length}`
  },
}

const download: Look = {
  kind: 'download',
  async run({ client, random }, { live }) {
    const file = random.pick(live)
    if (!file) return null
    const bytes = await (await client.download(file.name)).bytes()
    return sha256(bytes) === file.sha256 ? null : `other bytes of ${file.name}`
  },
}

const range: Look = {
  kind: 'range',
  async run({ client, raw, random }, { live }) {
    const file = random.pick(live.filter(({ size }) => size > 0))
    if (!file) return null
    const from = random.int(file.size)
    const to = from + 1 + random.int(file.size - from)
    const [part, whole] = [
      await (await client.download(file.name, { range: { from, to } })).bytes(),
      await raw.bytesOf(file.name),
    ]
    return whole.subarray(from, to).equals(part) ? null : `other bytes in a range of ${file.name}`
  },
}

const picture: Look = {
  kind: 'thumbnail',
  async run({ client, random }, { live }) {
    const file = random.pick(live.filter((file) => file.picture !== null))
    if (!file) return null
    const bytes = new Uint8Array(await (await client.thumbnail.get(file.name)).arrayBuffer())
    return sha256(bytes) === file.picture?.sha256 ? null : `another thumbnail of ${file.name}`
  },
}

const lookup: Look = {
  kind: 'look up',
  async run({ client, random }, { live, trash }) {
    const file = random.pick([...live, ...trash.slice(-3)])
    if (!file) return null
    const verify = file.size < 100_000
    const found = await client.lookup([file.sha256, sha256(random.bytes(8))], { verify })
    const isThere = found.length > 0 && found.every((one) => one.sha256 === file.sha256)
    return isThere ? null : `a lookup found ${found.length} of ${file.name}`
  },
}

const exported: Look = {
  kind: 'export',
  async run({ raw }, { live }) {
    const { bytes } = await raw.askPatiently(() => raw.ask('/v1/me/export'))
    const digests = new Set((await unzip(bytes)).map((entry) => sha256(entry.bytes)))
    const lacking = live.filter((file) => !digests.has(file.sha256))
    return lacking.length === 0 ? null : `the export lacks ${lacking.length} files`
  },
}

const account: Look = {
  kind: 'usage',
  async run({ client }, { live, trash }) {
    const { usage } = await client.account.get()
    const bytes = [...live, ...trash].reduce((sum, { size, picture }) => sum + size + (picture?.size ?? 0), 0)
    // Unfinished uploads of earlier breaks count, too.
    const isRight = usage.files === live.length && usage.bytes >= bytes
    return isRight
      ? null
      : `the usage is ${JSON.stringify(usage)}, and there are ${live.length} files of ${bytes} bytes`
  },
}

export const LOOKS: readonly Look[] = [
  list,
  timeline,
  download,
  download,
  range,
  picture,
  picture,
  lookup,
  exported,
  account,
]

/** Follows the changes feed. Applied in order, the changes are exactly the live files. */
export function follower() {
  let cursor: string | null = null
  let files = new Map<string, string>()
  let restarts = 0
  const look: Look = {
    kind: 'changes',
    async run(hands, state) {
      try {
        for await (const page of hands.client.changes({ cursor, pageSize: 20 })) {
          for (const change of page.changes) {
            if (change.type === 'gone') files.delete(change.id)
            else files.set(change.file.id, lineOf(change.file))
          }
          cursor = page.cursor
        }
      } catch (error) {
        if (!isVaultError(error, 'cursor-expired')) throw error
        restarts += 1
        cursor = null
        files = new Map()
        return look.run(hands, state)
      }
      const [followed, known] = [[...files.values()].sort(), state.live.map(lineOf).sort()]
      return isDeepStrictEqual(followed, known)
        ? null
        : `the changes lead to other files (${followed.length} of ${known.length})`
    },
  }
  return { look, restarts: () => restarts }
}

const lineOf = ({ name, sha256 }: { name: string; sha256: string }) => `${name} ${sha256}`

/** Tags: an index finds equal contents by them, without reading contents (`docs/blob-format.md`). */
import { createHmac } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Needs } from '../context.ts'
import { openSecrets } from '../crypto/envelope.ts'
import { hkdf } from '../crypto/hkdf.ts'

const TAG_BYTES = 16
/** Rows that get their tags in one transaction. Other requests wait for it. */
const BATCH = 10

/**
 * Equal for equal bytes in the same vault, and only there. So a reader of the disk who knows a digest learns nothing
 * from it. `sha256` is in hex.
 */
export function tagOf(vaultKey: Buffer, sha256: string): Buffer {
  return tagsUnder(vaultKey)(sha256)
}

/** The same for many digests of one vault. */
export function tagsUnder(vaultKey: Buffer): (sha256: string) => Buffer {
  const key = hkdf(vaultKey, '', 'minikeepsafe tag 1', 32)
  return (sha256) => createHmac('sha256', key).update(sha256, 'hex').digest().subarray(0, TAG_BYTES)
}

/** Sets the tags of rows that were stored before tags existed. Rows that do not open get no tag. */
export async function fillInTags({
  ports: { files, keySlots },
  keys,
  repeat,
}: Needs<'files' | 'keySlots', 'keys' | 'repeat'>): Promise<void> {
  let after = ''
  await repeat(async () => {
    const page = await files.untagged(after, BATCH)
    const vaultKeys = new Map<string, Buffer | null>()
    const tags = []
    for (const { owner, file } of page) {
      const vaultKey = vaultKeys.get(owner) ?? (await vaultKeyOf(owner))
      vaultKeys.set(owner, vaultKey)
      const tag = vaultKey && openedTag(vaultKey, owner, file)
      if (tag) tags.push({ id: file.id, version: file.version, tag })
    }
    if (tags.length > 0) await files.fillInTags(tags)
    else await nextTurn()
    const last = page.at(-1)
    after = last?.file.id ?? after
    return page.length === BATCH
  })

  /** `null` for a user who was removed, or whose master key is not given. */
  async function vaultKeyOf(owner: string): Promise<Buffer | null> {
    const [slot] = await keySlots.find(owner)
    try {
      return slot ? keys.open(owner, slot) : null
    } catch {
      return null
    }
  }
}

function openedTag(vaultKey: Buffer, owner: string, file: Parameters<typeof openSecrets>[2]): Buffer | null {
  try {
    return tagOf(vaultKey, openSecrets(vaultKey, owner, file).sha256)
  } catch {
    // `verify` and reads of the file report the damage.
    return null
  }
}

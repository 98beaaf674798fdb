/** Names of files in a zip. They can be unpacked on every system. */
import { randomInt } from 'node:crypto'
import { digestOf, digestSet } from '../../vault/files/digest-set.ts'
import { MOST_NUMBER, numberedName, numberedPrefix } from '../../vault/files/names.ts'

const MAX_NAME_BYTES = 255
/** The numbers that are tried in their order. Each takes some microseconds, and other requests wait for them. */
const MOST_TRIED = 32

/** Characters that Windows forbids: <https://learn.microsoft.com/windows/win32/fileio/naming-a-file>. */
const FORBIDDEN = /[<>:"|?*\\/\p{Cc}]|[. ](?=[. ]*$)/gu

/** Device names of Windows, with any extension. */
const DEVICE = /^(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[1-9¹²³]) *(?:\.|$)/iu

/** Characters that file systems of Android and of old Macs ignore when they compare names. */
const IGNORABLE = /\p{Default_Ignorable_Code_Point}/gu

/** Names each file of one folder. */
export interface EntryNames {
  /**
   * Whether `nameFor` would return this name unchanged: the name can be unpacked everywhere, and differs from all
   * earlier results by more than case and normal form. If all such files are named first, no changed name takes theirs.
   */
  keeps(name: string): boolean
  /** The name, if a file keeps it, otherwise a similar name of at most 255 bytes. No later file gets the same name. */
  nameFor(name: string): string
}

export function entryNames(): EntryNames {
  const used = digestSet()
  /** The last number that was tried for each prefix of numbered names, by its digest, so that no number is tried twice. */
  const numbers = new Map<string, number>()

  return {
    keeps: (name) => portableName(name) === name && !used.has(folded(name)),
    nameFor(name) {
      const wanted = portableName(name)
      const unused = used.has(folded(wanted)) ? numbered(wanted) : wanted
      used.add(folded(unused))
      return unused
    },
  }

  /** A user may have files with very many of the numbers, but cannot know random ones in advance. */
  function numbered(name: string): string {
    const prefix = digestOf(folded(numberedPrefix(name)))
    for (let tries = 0; ; tries += 1) {
      const candidate = numberedName(name, tries < MOST_TRIED ? next(prefix) : randomInt(1, MOST_NUMBER + 1))
      if (!used.has(folded(candidate))) return candidate
    }
  }

  function next(prefix: string): number {
    const number = (numbers.get(prefix) ?? 0) + 1
    numbers.set(prefix, number)
    return number
  }
}

/** The name, or a similar name of at most 255 bytes that Windows accepts. */
export function portableName(name: string): string {
  const allowed = name.replace(FORBIDDEN, '_')
  if (!DEVICE.test(allowed)) return allowed
  const marked = `_${allowed}`
  return Buffer.byteLength(marked) <= MAX_NAME_BYTES ? marked : `_${allowed.slice(1)}`
}

/**
 * The same result for names that some file system takes as equal. Lower case comes before upper case: `ẞ` has no upper case,
 * and the upper case of `ß` is `SS`.
 */
function folded(name: string): string {
  return name.normalize('NFD').replace(IGNORABLE, '').toLowerCase().toUpperCase().normalize('NFD')
}

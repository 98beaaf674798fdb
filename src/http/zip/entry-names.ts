/** Names of files in a zip. They can be unpacked on every system. */
import { digestSet } from '../../vault/files/digest-set.ts'
import { numberedName, numberedPrefix } from '../../vault/files/names.ts'

const MAX_NAME_BYTES = 255

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
  /** The last number that was tried for each prefix of numbered names, so that no number is tried twice. */
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

  function numbered(name: string): string {
    const prefix = folded(numberedPrefix(name))
    for (;;) {
      const number = (numbers.get(prefix) ?? 0) + 1
      numbers.set(prefix, number)
      const candidate = numberedName(name, number)
      if (!used.has(folded(candidate))) return candidate
    }
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

/** What files are called in a zip, so that they can be unpacked on every system. */
import { digestSet } from '../../vault/files/digest-set.ts'
import { numberedName, numberedPrefix } from '../../vault/files/names.ts'

const MAX_NAME_BYTES = 255

/** What names of Windows have none of: <https://learn.microsoft.com/windows/win32/fileio/naming-a-file>. */
const FORBIDDEN = /[<>:"|?*\\/\p{Cc}]|[. ](?=[. ]*$)/gu

/** Devices of Windows, whatever stands behind a dot. */
const DEVICE = /^(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[1-9¹²³]) *(?:\.|$)/iu

/** File systems of Android and of old Macs do not see them in a name. */
const IGNORABLE = /\p{Default_Ignorable_Code_Point}/gu

/**
 * Answers a name for each file of one folder. It is the file's own name if that can be unpacked everywhere and differs
 * from all before it by more than case and normal form; else a similar one of at most 255 bytes.
 */
export function entryNames(): (name: string) => string {
  const used = digestSet()
  /** The last number that was tried, by what the numbered names begin with: none is tried twice. */
  const numbers = new Map<string, number>()

  return (name) => {
    const wanted = portableName(name)
    const unused = used.has(folded(wanted)) ? numbered(wanted) : wanted
    used.add(folded(unused))
    return unused
  }

  function numbered(name: string): string {
    const beginning = folded(numberedPrefix(name))
    for (;;) {
      const number = (numbers.get(beginning) ?? 0) + 1
      numbers.set(beginning, number)
      const candidate = numberedName(name, number)
      if (!used.has(folded(candidate))) return candidate
    }
  }
}

/** The name, or a similar one that Windows takes, of at most 255 bytes. */
export function portableName(name: string): string {
  const allowed = name.replace(FORBIDDEN, '_')
  if (!DEVICE.test(allowed)) return allowed
  const marked = `_${allowed}`
  return Buffer.byteLength(marked) <= MAX_NAME_BYTES ? marked : `_${allowed.slice(1)}`
}

/**
 * The same for names that some file system takes for one. Lower case first: `ẞ` has no upper case and `ß` has no other
 * one than `SS`.
 */
function folded(name: string): string {
  return name.normalize('NFD').replace(IGNORABLE, '').toLowerCase().toUpperCase().normalize('NFD')
}

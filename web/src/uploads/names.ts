/** Names and times of chosen files. */

/** Cameras and clipboards call every picture the same. */
const SAME_FOR_ALL = /^(?:image|photo|video|capturedimage)\.(\w+)$/i

/** `image.jpg` becomes `2026-07-14 14.05.09.jpg`. */
export function distinctName(name: string, time: number): string {
  const [, extension] = SAME_FOR_ALL.exec(name) ?? []
  if (extension === undefined) return name
  const [date = '', clock = ''] = localTime(time).split(/[T.+Z]/)
  return `${date} ${clock.replaceAll(':', '.')}.${extension}`
}

/** RFC 3339 with the offset of this place, so that a photo stays on its day. */
export function localTime(ms: number): string {
  const offset = -new Date(ms).getTimezoneOffset()
  const two = (number: number) => String(Math.trunc(number)).padStart(2, '0')
  const local = new Date(ms + offset * 60_000).toISOString().slice(0, -1)
  return `${local}${offset < 0 ? '-' : '+'}${two(Math.abs(offset) / 60)}:${two(Math.abs(offset) % 60)}`
}

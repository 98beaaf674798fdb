/** Which types this browser cannot show, as far as it has turned out: HEIC in Chromium, TIFF in most. */

const ALWAYS = /^image\/(jpe?g|png|gif|webp|bmp)\b/i
const failed = new Set<string>()

/** A picture did not open. If all browsers open its type, the file is broken; else the others of its type will not open either. */
export function cannotOpen(contentType: string): void {
  if (!ALWAYS.test(contentType) && navigator.onLine) failed.add(contentType.toLowerCase())
}

export const mayOpen = (contentType: string): boolean => !failed.has(contentType.toLowerCase())

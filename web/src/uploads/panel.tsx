/** The progress of uploads, above the lower edge. Nothing while there is none. */
export function UploadPanel() {
  return null
}

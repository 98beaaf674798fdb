/** Progress on standard error: a bar if that is a terminal, otherwise a line from time to time. */
const DRAW_EVERY_MS = 200
/** A short command writes no line. */
const LINE_EVERY_MS = 30_000
const WIDTH = 30

export function progressBar(
  out: NodeJS.WriteStream,
  total: number,
  now = Date.now,
): { add(done: number): void; clear(): void } {
  let sum = 0
  let drawnAt = out.isTTY ? 0 : now()
  let isDrawn = false
  return {
    add(done) {
      sum += done
      const at = now()
      if (total === 0 || at - drawnAt < (out.isTTY ? DRAW_EVERY_MS : LINE_EVERY_MS)) return
      drawnAt = at
      const part = Math.min(1, sum / total)
      const percent = `${Math.floor(part * 100)} %`
      if (!out.isTTY) return void out.write(`minikeepsafe: ${percent}\n`)
      isDrawn = true
      const filled = Math.round(part * WIDTH)
      out.write(`\r[${'#'.repeat(filled)}${' '.repeat(WIDTH - filled)}] ${percent.padStart(5)}`)
    },
    clear() {
      if (isDrawn) out.write('\r\x1b[K')
    },
  }
}

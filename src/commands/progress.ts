/** A progress bar on standard error, if that is a terminal. */
const EVERY_MS = 200
const WIDTH = 30

export function progressBar(out: NodeJS.WriteStream, total: number): { add(done: number): void; clear(): void } {
  let sum = 0
  let drawnAt = 0
  return {
    add(done) {
      sum += done
      const now = Date.now()
      if (!out.isTTY || total === 0 || now - drawnAt < EVERY_MS) return
      drawnAt = now
      const part = Math.min(1, sum / total)
      const filled = Math.round(part * WIDTH)
      out.write(
        `\r[${'#'.repeat(filled)}${' '.repeat(WIDTH - filled)}] ${String(Math.floor(part * 100)).padStart(3)} %`,
      )
    },
    clear() {
      if (drawnAt > 0) out.write('\r\x1b[K')
    },
  }
}

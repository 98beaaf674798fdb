/** The output of the command: a progress bar on a terminal, otherwise a line for each file that is sent. */
import type { Writable } from 'node:stream'
import { VaultError } from '../errors.ts'
import type { BackupEvent } from './backup.ts'

const MiB = 1024 * 1024
const BAR = 30
const REDRAW_MS = 100

export interface Report {
  add(event: BackupEvent): void
  /** The last line, and the files that failed. Returns how many did. */
  end(): number
}

export function openReport(total: number, out: Writable & { isTTY?: boolean }, errors: Writable): Report {
  const failed: { relative: string; reason: string }[] = []
  const there = new Set<string>()
  const count = { sent: 0, bytes: 0 }
  let drawnAt = 0
  const done = () => count.sent + there.size + failed.length
  const draw = () => {
    const share = total === 0 ? 1 : Math.min(1, done() / total)
    const bar = '='.repeat(Math.round(share * BAR)).padEnd(BAR)
    out.write(`\r[${bar}] ${done()} of ${total} files, ${mib(count.bytes)} sent, ${failed.length} failed\x1b[K`)
  }
  return {
    add(event) {
      const { what, relative } = event
      // A file that was there may have to be sent later.
      there.delete(relative)
      if (what === 'failed') failed.push({ relative, reason: reasonOf(event.error) })
      else if (what === 'there') there.add(relative)
      else {
        count.sent += 1
        count.bytes += event.size
      }
      if (out.isTTY) {
        if (Date.now() - drawnAt < REDRAW_MS) return
        drawnAt = Date.now()
        draw()
      } else if (event.what === 'sent') {
        out.write(`sent ${event.relative}${event.name === event.relative ? '' : ` as ${event.name}`}\n`)
      }
    },

    end() {
      if (out.isTTY) {
        draw()
        out.write('\n')
      }
      out.write(
        `${total} files: ${count.sent} sent (${mib(count.bytes)}), ${there.size} there already, ${failed.length} failed\n`,
      )
      for (const { relative, reason } of failed) errors.write(`failed ${relative}: ${reason}\n`)
      return failed.length
    },
  }
}

export function reasonOf(error: unknown): string {
  if (error instanceof VaultError) return `${error.detail} (${error.code})`
  return error instanceof Error ? error.message : String(error)
}

const mib = (bytes: number) => `${(bytes / MiB).toFixed(1)} MiB`

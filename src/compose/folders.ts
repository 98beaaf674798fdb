/** Waits for the file systems of the settings' folders. */
import { stat } from 'node:fs/promises'
import type { Config } from '../config/config.ts'

/**
 * Waits until the file systems of the folders have answered, with success or an error. If a file server does not answer,
 * later calls would block the whole process. Logs once each folder that is silent for `silenceMs`.
 */
export async function foldersAnswer(
  { DATABASE_URL, DATA_DIR, S3_BUCKET, UPLOADS_DIR }: Config,
  silenceMs: number,
  log: (message: string) => void,
  ask: (path: string) => Promise<unknown> = stat,
): Promise<void> {
  const folders = {
    ...(DATABASE_URL === undefined ? { DATA_DIR } : {}),
    ...(S3_BUCKET === undefined ? { UPLOADS_DIR } : {}),
  }
  const waits = Object.entries(folders).map(async ([setting, folder]) => {
    const message = `${setting} (${folder}) does not answer: is its file system away? The server starts once it does`
    const timer = setTimeout(() => log(message), silenceMs)
    try {
      await ask(folder)
    } catch {
      // Absence is an answer. Other errors are reported by the code that needs the folder.
    } finally {
      clearTimeout(timer)
    }
  })
  await Promise.all(waits)
}

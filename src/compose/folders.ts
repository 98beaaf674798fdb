/** Whether the folders of the settings answer at all. */
import { stat } from 'node:fs/promises'
import type { Config } from '../config/config.ts'

/**
 * Waits until the file systems of the folders have answered; what they answer does not matter here. What comes after this
 * would block the whole process on a file server that is away. One that is silent for `silenceMs` is told, once.
 */
export async function foldersAnswer(
  { DATABASE_URL, DATA_DIR, S3_BUCKET, UPLOADS_DIR }: Config,
  silenceMs: number,
  tell: (message: string) => void,
  ask: (path: string) => Promise<unknown> = stat,
): Promise<void> {
  const folders = {
    ...(DATABASE_URL === undefined ? { DATA_DIR } : {}),
    ...(S3_BUCKET === undefined ? { UPLOADS_DIR } : {}),
  }
  const waits = Object.entries(folders).map(async ([setting, folder]) => {
    const message = `${setting} (${folder}) does not answer: is its file system away? The server starts once it does`
    const timer = setTimeout(() => tell(message), silenceMs)
    try {
      await ask(folder)
    } catch {
      // Absence is an answer, and what else is wrong is told by whoever needs the folder.
    } finally {
      clearTimeout(timer)
    }
  })
  await Promise.all(waits)
}

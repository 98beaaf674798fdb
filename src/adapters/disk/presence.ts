import { stat } from 'node:fs/promises'

export interface Presence {
  /** Throws with the code `EUNREACHABLE` if the folder is not the one that it was. */
  check(): Promise<void>
}

/**
 * Knows whether the disk of a folder is still there. After the disk is unmounted, there is no folder, or the one below the mount
 * point. Then a file that is not found is not missing, and nothing may be written. A disk that is mounted again has another device
 * number. `isFilled` is true for it, and false for the empty mount point. `onReturn` is called after the disk is back.
 */
export async function presenceOf(
  folder: string,
  isFilled: () => Promise<boolean>,
  onReturn: () => void,
): Promise<Presence> {
  let known = await identityOf(folder)

  return {
    async check() {
      const now = await identityOf(folder)
      if (now === known) return
      if (now === null || !(await isFilled())) {
        const message = 'UPLOADS_DIR is not the folder that it was at the start: is its disk mounted?'
        throw Object.assign(new Error(message), { code: 'EUNREACHABLE' })
      }
      known = now
      onReturn()
    },
  }
}

/** `null` if the folder cannot be found, or its file server is gone. */
async function identityOf(folder: string): Promise<string | null> {
  return stat(folder).then(
    ({ dev, ino }) => `${dev}:${ino}`,
    () => null,
  )
}

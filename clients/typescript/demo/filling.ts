/** Fills a vault with pictures. */
import { type Client, isVaultError, VaultError } from '../src/node.ts'
import { picture } from './pictures.ts'

const PARALLEL = 4
const MONTHS = 30

/** Pictures of the last two and a half years before `now`, more in summer. They are the same each time. */
export async function fill(
  client: Client,
  count: number,
  now: Date,
  onStored: (stored: number) => void,
): Promise<void> {
  let next = 0
  let stored = 0
  const lane = async () => {
    while (next < count) {
      const number = next
      next += 1
      const takenAt = dateOf(number, count, now)
      const { jpeg, thumbnail } = picture(number, takenAt)
      const name = `IMG_${takenAt.slice(0, 10).replaceAll('-', '')}_${String(number).padStart(4, '0')}.jpg`
      await client.upload(jpeg, { name, takenAt, contentType: 'image/jpeg', onConflict: 'rename' })
      await client.thumbnail.put(name, thumbnail, { type: 'image/jpeg' }).catch(withoutThumbnails)
      stored += 1
      onStored(stored)
    }
  }
  await Promise.all(Array.from({ length: PARALLEL }, lane))
}

function dateOf(number: number, count: number, now: Date): string {
  const share = (number + 0.5) / count
  const month = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - Math.floor(share * MONTHS), 1))
  const isSummer = month.getUTCMonth() > 3 && month.getUTCMonth() < 9
  const [day, hour, minute] = [1 + ((number * 7) % 28), 8 + ((number * 5) % 12), (number * 13) % 60]
  const two = (value: number) => String(value).padStart(2, '0')
  return `${month.toISOString().slice(0, 8)}${two(day)}T${two(hour)}:${two(minute)}:00${isSummer ? '+02:00' : '+01:00'}`
}

/** A server without thumbnails. */
function withoutThumbnails(error: unknown): void {
  if (!(error instanceof VaultError) || isVaultError(error, 'file-not-found')) throw error
  if (error.status !== 404 && error.status !== 405) throw error
}

/** What a phone leaves undone in the evening, and what the vault must have made of it by the morning, days later. */
import type { Client } from '../../clients/typescript/src/client.ts'
import type { Hands } from './acts.ts'
import { type Clock, DAY_MS } from './clock.ts'
import { statusOf } from './network.ts'
import type { Random } from './random.ts'
import { ACTIVITY_DAYS, MARKS, UPLOAD_DAYS } from './settings.ts'

const ABANDONED = { size: 50_000, sent: 20_000 }

export const deviceIdOf = (random: Random) => `${MARKS.device}-${random.bytes(12).toString('hex')}`

export function nightsOf(
  { client, raw, random }: Hands,
  newTablet: () => Client,
  clock: Clock,
  violation: (text: string) => void,
) {
  let abandoned: { path: string; at: number }[] = []
  let pending: { deviceId: string; pin: string } | null = null

  return {
    /** A PIN that nobody uses in time, and an upload that nobody finishes. */
    async evening(): Promise<void> {
      const deviceId = deviceIdOf(random)
      const { pin } = (await client.requestPin({ deviceId })) as { pin: string }
      pending = { deviceId, pin }
      const bytes = random.bytes(ABANDONED.size)
      const path = await raw.begin(`${MARKS.name} abandoned ${random.int(1_000_000)}`, bytes.length)
      await raw.append(path, bytes, [ABANDONED.sent])
      abandoned.push({ path, at: clock.now() })
    },

    async morning(): Promise<void> {
      await expectPinExpired()
      await expectUploadsExpired()
      await expectOldEventsGone()
    },
  }

  async function expectPinExpired(): Promise<void> {
    if (!pending) return
    const pin = pending
    const status = await statusOf(() => newTablet().signIn(pin))
    if (status !== 401) violation(`a PIN of another day got ${status}`)
    pending = null
  }

  async function expectUploadsExpired(): Promise<void> {
    const left: typeof abandoned = []
    for (const upload of abandoned) {
      const isOver = clock.now() - upload.at > UPLOAD_DAYS * DAY_MS
      let offset = 0
      const status = await statusOf(async () => {
        offset = await raw.offsetOf(upload.path)
      })
      if (status !== (isOver ? 404 : 200)) violation(`an upload that is ${isOver ? '' : 'not '}over got ${status}`)
      else if (!isOver && offset !== ABANDONED.sent) violation('an offset was taken back')
      if (!isOver) left.push(upload)
    }
    abandoned = left
  }

  async function expectOldEventsGone(): Promise<void> {
    const oldest = clock.now() - (ACTIVITY_DAYS + 1) * DAY_MS
    for await (const { at } of client.account.activity()) {
      if (Date.parse(at) < oldest) return violation(`the activity list has an event of ${at}`)
    }
  }
}

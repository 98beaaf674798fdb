/** The activity list in words, and which of its events an owner should look at. */
import type { ActivityEvent } from '@minikeepsafe/client'
import { formatNumber } from '../words/formats.ts'
import { t } from '../words/words.ts'
import { nameOfUserAgent } from './device-name.ts'

/** Other devices have labels that begin with `~`. */
export const isOwn = ({ deviceId }: ActivityEvent) => deviceId !== null && !deviceId.startsWith('~')

const ALWAYS = ['locked', 'damaged-read']
/** What a stranger who got in would do. By this device, it was the user. */
const OF_OTHERS = ['new-device', 'wrong-pin', 'export']

export function isAlert(event: ActivityEvent): boolean {
  if (ALWAYS.includes(event.kind) || isByOperator(event)) return true
  return OF_OTHERS.includes(event.kind) && !isOwn(event)
}

const isByOperator = ({ kind, address, userAgent }: ActivityEvent) =>
  kind === 'pin-issued' && address === '' && userAgent === ''

/** One sentence. */
export function sentenceOf(event: ActivityEvent): string {
  const words = t.value.activity
  const { kind, count, fileId, sessionId, deviceName } = event
  const files = words.files(count, formatNumber(count))
  const times = words.times(count, formatNumber(count))
  const often = (text: string) => (count > 1 ? `${text}, ${times}` : text)
  switch (kind) {
    case 'sign-in':
      return often(words.signIn(deviceOf(event)))
    case 'new-device':
      return words.newDevice(deviceOf(event))
    case 'wrong-pin':
      return words.wrongPin(times)
    case 'locked':
      return words.locked
    case 'pin-issued':
      if (isByOperator(event)) return often(words.pinIssuedByOperator)
      if (sessionId === null) return often(words.pinIssuedToAddress)
      return often(deviceName ? words.pinIssued(deviceName) : words.pinIssuedForOther)
    case 'session-revoked':
      return often(words.sessionRevoked(deviceName ?? words.aDevice))
    case 'file-deleted':
      return words.fileDeleted(files)
    case 'file-purged':
      return fileId === null ? often(words.trashEmptied) : words.filePurged(files)
    case 'export':
      return often(words.exported)
    case 'damaged-read':
      return often(words.damaged)
    default:
      // A newer server may know more.
      return often(words.unknown(kind))
  }
}

function deviceOf({ deviceName, userAgent }: ActivityEvent): string {
  return deviceName ?? nameOfUserAgent(userAgent) ?? t.value.activity.aDevice
}

/** Where it came from: the address, and the browser or app. */
export function originOf({ address, userAgent }: ActivityEvent): string[] {
  return [address, nameOfUserAgent(userAgent) ?? userAgent.slice(0, 60)].filter((text) => text !== '')
}

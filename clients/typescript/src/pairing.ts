/** Device ids, and the text of the picture that signs another device in: `{server}/#pair={deviceId}.{pin}`. */
import { hexOf } from './encoding.ts'
import { VaultError } from './errors.ts'

export interface Pairing {
  server: string
  deviceId: string
  pin: string
}

/** 128 random bits. Keep it on the device, and treat it as a secret. */
export function newDeviceId(): string {
  return `app-${hexOf(crypto.getRandomValues(new Uint8Array(16)))}`
}

export function pairingText({ server, deviceId, pin }: Pairing): string {
  return `${server.replace(/\/+$/, '')}/#pair=${deviceId}.${pin}`
}

/** Throws `invalid-pairing` for any other text. A device id may have dots, a PIN has none. */
export function parsePairing(text: string): Pairing {
  const match = /^(https?:\/\/[^#?\s]+?)\/*#pair=([A-Za-z0-9._:-]{8,128})\.([0-9]{4})$/.exec(text.trim())
  if (!match) throw new VaultError('invalid-pairing', 'This is not the text of a pairing picture.')
  const [, server = '', deviceId = '', pin = ''] = match
  return { server, deviceId, pin }
}

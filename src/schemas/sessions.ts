import { type Static, Type } from '@sinclair/typebox'
import { Id, MOST_CHARACTERS, Timestamp } from './common.ts'
import { DeviceId, DeviceName, ListedDevice } from './users.ts'

export const SignIn = Type.Object(
  {
    deviceId: DeviceId,
    pin: Type.String({
      // Base32 (RFC 4648) in any case, with optional spaces or hyphens, as people type it.
      pattern: '^(?:[0-9]{4}|[A-Za-z2-7](?:[ -]?[A-Za-z2-7]){15})$',
      'x-message': 'must be a string of four digits, or the code of 16 letters and digits that was sent instead',
      description:
        'The PIN that was issued for this device, or the code that was sent in its place while the PINs of an address are paused: 16 characters, in any case, in groups or not.',
      examples: ['0427'],
    }),
    deviceName: Type.Optional(
      Type.String({
        maxLength: MOST_CHARACTERS,
        // `plugins/intake/validation.ts` checks the format.
        format: 'device-name',
        description:
          'What a person calls the device: 1 to 60 characters after trimming, no control characters. It is converted to NFC. The device keeps it until a sign-in gives another one.',
        examples: ['Ada’s phone'],
      }),
    ),
    cookie: Type.Optional(
      Type.Boolean({
        default: false,
        description:
          'For a page of the origin of this server: the answer has the token in a cookie that scripts cannot read, and not in its body. A request of any other page is refused (`cross-site-request`).',
        // Swagger UI fills the example in, and its users need the token.
        examples: [false],
      }),
    ),
    persistent: Type.Optional(
      Type.Boolean({
        description:
          'With `"cookie": true`: whether the browser keeps the cookie when it is closed; by default `true`. Without a cookie it changes nothing.',
      }),
    ),
  },
  { 'x-name': 'SignIn' },
)

const setCookie = (description: string) => ({ 'Set-Cookie': { type: 'string', description } })

/** The header of a response that ends the session of the request. */
export const ClearedCookie = setCookie('Clears the cookie, if the request relied on it.')

const OpenedSession = Type.Object(
  {
    sessionId: Id,
    token: Type.Optional(
      Type.String({
        description:
          'For `Authorization: Bearer`. The server stores only its hash, so it cannot be shown again. Absent with `"cookie": true`.',
        examples: ['mks_3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'],
      }),
    ),
    userId: Id,
    deviceId: DeviceId,
    expiresAt: Timestamp,
  },
  {
    'x-name': 'OpenedSession',
    description:
      'A session. It replaces an older session of the same user on this device. A user has at most 1,000 sessions: a new one above that ends the least recently used one.',
  },
)

export const WithSession = Type.Unsafe<Static<typeof OpenedSession>>({
  description: 'The session.',
  headers: setCookie(
    'With `"cookie": true`: the cookie, HttpOnly and SameSite=Strict. Over TLS it is `__Host-minikeepsafe` and Secure, otherwise `minikeepsafe`. `Max-Age` is the longest life of the session; with `"persistent": false` there is none.',
  ),
  content: { 'application/json': { schema: OpenedSession } },
})

export const BySession = Type.Object({
  sessionId: Type.String({ maxLength: MOST_CHARACTERS, description: 'The id of one of your sessions, or `current`.' }),
})

export const SessionList = Type.Object(
  {
    sessions: Type.Array(
      Type.Object(
        {
          sessionId: Id,
          deviceId: ListedDevice,
          deviceName: Type.Optional(DeviceName),
          createdAt: Timestamp,
          lastUsedAt: Timestamp,
          expiresAt: Timestamp,
          current: Type.Boolean({ description: 'Whether this is the session of the request.' }),
        },
        { 'x-name': 'Session', description: 'A device that is signed in.' },
      ),
    ),
  },
  { 'x-name': 'SessionList', description: 'The active sessions, the newest first: at most 1,000.' },
)

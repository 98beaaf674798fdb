import { Type } from '@sinclair/typebox'
import { Id, Timestamp } from './common.ts'

/** An address as it is kept. */
export const Email = Type.String({
  maxLength: 254,
  description: 'In lower case, with the domain in ASCII: `xn--…` for one of another script.',
  examples: ['ada@example.org'],
})

/** An address as a person types it: `plugins/intake/validation.ts` knows the format. */
const TypedEmail = Type.String({
  maxLength: 1024,
  format: 'idn-email',
  description:
    'At most 254 characters, compared case-insensitively. Spaces around it are ignored; the domain may be of any script.',
  examples: ['ada@example.org'],
})

export const DeviceId = Type.String({
  pattern: '^[A-Za-z0-9._:-]{8,128}$',
  'x-fault': 'must be 8 to 128 characters of A-Z a-z 0-9 . _ : -',
  description:
    'Made by the client from at least 128 random bits, kept on the device and treated as a secret; never a hardware or advertising id.',
  examples: ['ios-6f1c2b9a4d8e4f7ab3c5d1e0f9a8b7c6'],
})

/** How a list shows a device: device ids are secrets of their devices, so other devices than the caller's have labels. */
export const ListedDevice = Type.String({
  pattern: '^(?:[A-Za-z0-9._:-]{8,128}|~[A-Za-z0-9_-]{8})$',
  description:
    'Your own device by its id; any other by a label of `~` and eight characters, always the same for that device of yours.',
  examples: ['~k3J_x9Qa'],
})

export const Registration = Type.Object(
  {
    name: Type.String({
      // After trimming; a code point is one character, with and without the `u` flag.
      pattern:
        '^\\s*(?!\\s)(?:[\\uD800-\\uDBFF][\\uDC00-\\uDFFF]|[^\\u0000-\\u001F\\u007F-\\u009F\\uD800-\\uDFFF]){1,100}?\\s*$',
      'x-fault': 'must be 1 to 100 characters, not counting space around them, and no control characters',
      description: '1 to 100 characters after trimming, no control characters.',
      examples: ['Ada'],
    }),
    email: TypedEmail,
    deviceId: DeviceId,
  },
  { 'x-name': 'Registration' },
)

export const PinRequest = Type.Object(
  { deviceId: DeviceId, email: Type.Optional(TypedEmail) },
  { 'x-name': 'PinRequest' },
)

const Pin = Type.String({ description: 'Four digits, leading zeros included.', examples: ['0427'] })

export const RegisteredWithPin = Type.Object(
  { userId: Id, deviceId: DeviceId, pin: Pin, pinExpiresAt: Timestamp },
  {
    'x-name': 'RegisteredWithPin',
    description: 'The PIN, to be redeemed at POST /v1/sessions (`PIN_DELIVERY=response`).',
  },
)

export const ShownPin = Type.Object(
  { deviceId: DeviceId, pin: Pin, pinExpiresAt: Timestamp },
  { 'x-name': 'ShownPin', description: 'The PIN for that device.' },
)

const Delivery = Type.Union([Type.Literal('console'), Type.Literal('email')])

export const SentPin = Type.Object(
  { deviceId: DeviceId, pinDelivery: Delivery, pinExpiresAt: Timestamp },
  {
    'x-name': 'SentPin',
    description: 'Accepted: a PIN goes out if there is somebody to send it to. The answer does not tell.',
  },
)

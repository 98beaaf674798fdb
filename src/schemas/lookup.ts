import { Type } from '@sinclair/typebox'
import { Id, nullable, Timestamp } from './common.ts'

export const MOST_DIGESTS = 1000
export const MOST_VERIFIED = 20

const Sha256 = Type.String({
  pattern: '^[0-9a-f]{64}$',
  'x-message': 'must be 64 characters of lower-case hex',
  examples: ['9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08'],
})

export const LookupRequest = Type.Object(
  {
    sha256: Type.Array(Sha256, {
      maxItems: MOST_DIGESTS,
      description: `The SHA-256 of contents, in lower-case hex. With \`verify\` at most ${MOST_VERIFIED}.`,
    }),
    verify: Type.Optional(
      Type.Boolean({
        default: false,
        description: 'Read back and open all bytes before the response. A file that does not open is left out.',
      }),
    ),
  },
  { 'x-name': 'LookupRequest' },
)

export const LookupResult = Type.Object(
  {
    found: Type.Array(
      Type.Object(
        {
          sha256: Sha256,
          id: Id,
          name: Type.String({ examples: ['beach.jpg'] }),
          size: Type.Integer({ minimum: 0, description: 'Bytes.', examples: [2_481_733] }),
          state: Type.Unsafe<'live' | 'trash'>({
            type: 'string',
            enum: ['live', 'trash'],
            description: '`trash`: it can be restored by its id.',
          }),
          verifiedAt: nullable(Timestamp, {
            description: 'When all bytes were last read back from the store and opened; `null` for never.',
          }),
        },
        { 'x-name': 'FoundFile' },
      ),
    ),
  },
  { 'x-name': 'LookupResult', description: 'Every file, and every entry of the trash, with one of the digests.' },
)

/** The parts of the OpenAPI document that belong to no route. */
import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger'
import { VERSION } from '../../version.ts'

const description = `A private vault behind four steps:

1. **POST /v1/users** with a name, an address and a device id sends a four-digit PIN.
2. **POST /v1/sessions** with the device id and the PIN returns a session token. Press **Authorize** and paste it.
3. **POST /v1/files** with a file, or **PUT /v1/files/{name}** with its bytes, stores the file.
4. **GET /v1/files/{name}** returns the bytes.

Refusals are \`application/problem+json\` (RFC 9457); their \`code\` is stable, and each status lists the codes that it can
carry. A refusal that is sent before the body was read ends the connection (\`Connection: close\`). An unknown path is a 404
\`not-found\`, another method of a known path a 405 \`method-not-allowed\` with \`Allow\`. Too many requests are a 429
\`too-many-requests\` with \`Retry-After\`. \`RateLimit\` in every response of such a route says how much is left.`

export const ABOUT = {
  openapi: '3.1.0',
  info: {
    title: 'minikeepsafe',
    version: VERSION,
    description,
    license: { name: 'MIT', identifier: 'MIT' },
  },
  // The document is read from the server that it describes.
  servers: [{ url: '/' }],
  security: [{ session: [] }, { cookie: [] }],
  tags: [
    { name: 'register', description: 'Create a user, and request a PIN.' },
    { name: 'sessions', description: 'Sign in with a PIN, list sessions, sign out.' },
    { name: 'files', description: 'Upload, download, list, rename and delete files.' },
    { name: 'uploads', description: 'Upload in several requests: begin, ask for the offset, append, cancel.' },
    { name: 'trash', description: 'List, restore and purge deleted files.' },
    { name: 'account', description: 'The signed-in user: profile, usage, activity, export and deletion.' },
    { name: 'health', description: 'For monitoring.' },
  ],
  components: {
    headers: {
      'X-Request-Id': {
        description: 'The id of this request, as in the log: the X-Request-Id of the request, or a new id.',
        schema: { type: 'string', pattern: '^[A-Za-z0-9._-]{1,64}$' },
        example: 'V1StGXR8_Z5jdHi6B-myT',
      },
      'RateLimit-Policy': {
        description:
          'The limits of this request by name: how many (`q`), in how many seconds (`w`) or at once (`qu`). Absent if the server has no limits.',
        schema: { type: 'string' },
        example: '"sign-in";q=10;w=60',
      },
      RateLimit: {
        description: 'How many requests each limit still allows (`r`), and for how many seconds (`t`).',
        schema: { type: 'string' },
        example: '"sign-in";r=9;t=42',
      },
    },
    securitySchemes: {
      session: { type: 'http', scheme: 'bearer', description: 'The `token` of POST /v1/sessions.' },
      cookie: {
        type: 'apiKey',
        in: 'cookie',
        name: '__Host-minikeepsafe',
        description:
          'For pages of the origin of this server: POST /v1/sessions with `"cookie": true` sets it, and the browser sends it. Over plain HTTP its name is `minikeepsafe`. It counts only without `Authorization`. In a GET or HEAD it counts if `Sec-Fetch-Site` is `same-origin`, `none` or absent, and `Sec-Fetch-Dest` is `empty`, `document`, `image`, `audio`, `video`, `track` or absent; otherwise it is ignored. With any other method it counts if `Sec-Fetch-Site` is `same-origin`, or if that field is absent and `Origin` is the origin of this server; otherwise the answer is 403 `cross-site-request`. A 401 clears it. The cookie is of all tabs of the browser. So a request may say in `X-Vault-User` which user (`userId`) it is for. If another user is signed in by now, the answer is 401, and the cookie stays. The field counts beside `Authorization`, too.',
      },
    },
  },
} satisfies FastifyDynamicSwaggerOptions['openapi']

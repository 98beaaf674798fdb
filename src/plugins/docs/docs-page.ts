/** Makes the page at /docs usable on a phone: the package's page has no viewport and does not break long words. */
import type { FastifyInstance } from 'fastify'

const CHARSET = '<meta charset="UTF-8">'
const VIEWPORT = '<meta name="viewport" content="width=device-width, initial-scale=1">'

/** Breaks long words, lets tables scroll, and stacks columns. */
export const narrowScreens = `
.swagger-ui { overflow-wrap: anywhere; }
.swagger-ui img, .swagger-ui input, .swagger-ui select, .swagger-ui textarea { max-width: 100%; box-sizing: border-box; }
@media (max-width: 640px) {
  .swagger-ui .wrapper { padding: 0 8px; }
  .swagger-ui .opblock-body, .swagger-ui .responses-inner, .swagger-ui .parameters-container { overflow-x: auto; }
  .swagger-ui .opblock .opblock-summary { flex-wrap: wrap; }
  .swagger-ui .opblock .opblock-summary-control { min-width: 0; flex-wrap: wrap; }
  .swagger-ui .opblock .opblock-summary-path { max-width: 100%; word-break: break-all; }
  .swagger-ui .opblock .opblock-summary-description { flex-basis: 100%; text-align: left; }
  .swagger-ui .modal-ux { min-width: 0; width: 96vw; }
  .swagger-ui .parameters-col_description input, .swagger-ui .parameters-col_description select { width: 100%; max-width: 100%; min-width: 0; }
}
`

/** Hides the cookie in the dialog of credentials: no script can set it, and the browser sends it by itself. */
export const credentials = '.swagger-ui .auth-container:has(#api_key_value) { display: none; }'

export function withViewport(app: FastifyInstance): void {
  app.addHook('onSend', async (request, reply, payload) => {
    const isPage = request.url.startsWith('/docs') && String(reply.getHeader('content-type')).startsWith('text/html')
    return isPage && typeof payload === 'string' ? payload.replace(CHARSET, `${CHARSET}\n      ${VIEWPORT}`) : payload
  })
}

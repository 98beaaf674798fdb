/** The app: its plugins and routes in their order. Routes inside `members` need a session. */
import type { ServerOptions } from 'node:http'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { TracerProvider } from '@opentelemetry/api'
import fastify, { type FastifyBaseLogger } from 'fastify'
import { recordDamage } from './http/damage.ts'
import { knownPaths } from './http/known-paths.ts'
import { methodOf } from './http/method-override.ts'
import { parseQuery } from './http/query.ts'
import { dependencyLogs } from './http/request-logs.ts'
import { auth, type SessionCheck } from './plugins/auth.ts'
import { type Certificate, certificateRenewal, secured, type TlsRules } from './plugins/connections/certificate.ts'
import { connections, connectionsAtMost } from './plugins/connections/connections.ts'
import { handshakes } from './plugins/connections/handshakes.ts'
import { noiseResponses, type Refused } from './plugins/connections/last-response.ts'
import { memoryPool, type PoolRules } from './plugins/connections/memory-pool.ts'
import { clientAddress, proxyCheck } from './plugins/connections/network.ts'
import { type Pace, pace } from './plugins/connections/pace.ts'
import { pipelining } from './plugins/connections/pipelining.ts'
import { proxies } from './plugins/connections/proxies.ts'
import { memoryClaims, shares } from './plugins/connections/shares.ts'
import { tlsWrites } from './plugins/connections/tls-writes.ts'
import { docs } from './plugins/docs/docs.ts'
import { errors, respondEarly } from './plugins/errors.ts'
import { crossOrigin, crossOriginHeaders, preflights, simpleRequests } from './plugins/headers/cross-origin.ts'
import { safeDefaults } from './plugins/headers/safe-defaults.ts'
import { identityOnly } from './plugins/intake/identity-only.ts'
import { jsonBodies } from './plugins/intake/json-bodies.ts'
import { lazySerializers } from './plugins/intake/serialization.ts'
import { isReadableTarget, strictHttp } from './plugins/intake/strict-http.ts'
import { lateContinue } from './plugins/intake/unread-body.ts'
import { validation } from './plugins/intake/validation.ts'
import { limits, type RequestLimits } from './plugins/limits/limits.ts'
import type { MetricsRules } from './plugins/metrics/rules.ts'
import { type OverloadRules, overload } from './plugins/overload.ts'
import { readBacks } from './plugins/read-backs.ts'
import { readOnly } from './plugins/read-only.ts'
import { sweeper } from './plugins/sweeper.ts'
import { requestId, requestIdOf } from './plugins/trace/request-id.ts'
import { logAtEnd, logNoise, quietFramework, requestLog } from './plugins/trace/request-log.ts'
import { web } from './plugins/web/web.ts'
import { account } from './routes/account.ts'
import { activity } from './routes/activity.ts'
import { changes } from './routes/changes.ts'
import { download } from './routes/download.ts'
import { exports } from './routes/export.ts'
import { files } from './routes/files.ts'
import { health } from './routes/health.ts'
import { lookup } from './routes/lookup.ts'
import { register } from './routes/register.ts'
import { sessions } from './routes/sessions.ts'
import { signIn } from './routes/sign-in.ts'
import { thumbnails } from './routes/thumbnails.ts'
import { timeline } from './routes/timeline.ts'
import { trash } from './routes/trash.ts'
import { uploadForm } from './routes/upload-form.ts'
import { uploadRaw } from './routes/upload-raw.ts'
import { tusVersion } from './routes/uploads/tus.ts'
import { uploadOptions, uploads } from './routes/uploads/uploads.ts'
import type { Vault } from './vault/vault.ts'

/** The operator's settings for HTTP. */
export interface HttpRules {
  /** The request log and traces contain the addresses of clients. */
  logClients: boolean
  /** The proxies whose X-Forwarded-* headers are trusted: by addresses and CIDRs, by a function, or none with `false`. */
  trustProxy: string[] | ((address: string, hop: number) => boolean) | false
  /** The origins whose pages may use the API in a browser. */
  corsOrigins: string[]
  /** The folder of the built web vault; `null` for none. */
  web: string | null
  /** `null` for plain HTTP. */
  tls: TlsRules | null
  /** The timeout of a TLS handshake, and of the header of a request. */
  headerMs: number
  /** The idle timeout of a connection. */
  idleMs: number
  /** How long a server that stops still accepts connections, and after that requests on open ones, each as its last. */
  lingerMs: number
  /** Where traces go to; they cost nothing without one. */
  tracing?: TracerProvider | null
  /** How long running requests go on when the server stops. Then they are cut. */
  graceMs: number
  sessionCheckMs: SessionCheck['sessionCheckMs']
  /** The rate limits; `null` for none. */
  limits: RequestLimits | null
  /** Whether a 104 tells a client where its upload can be resumed. */
  interimResponses: boolean
  pace: Pace
  overload: OverloadRules
  /** `null` for no metrics. */
  metrics: MetricsRules | null
  /** The maximum of connections. Lower if the process may not open enough files. */
  mostConnections: number
  /** The fraction of all connections and running requests that one network, or one user, may have. */
  networkShare: number
  userShare: number
  /** The memory limits of transfers. */
  memory: PoolRules & { uploadBytes: number }
}

/** The vault behind HTTP, ready to listen. Closing the app closes the vault. */
export async function buildApp(vault: Vault, log: FastifyBaseLogger, http: HttpRules) {
  const certificate = http.tls?.read()
  const originHeaders = crossOriginHeaders(http.corsOrigins)
  const paths = knownPaths()
  const most = Math.min(http.mostConnections, connectionsAtMost())
  // At least 32: if the process may open few files, a fraction of them would be too few for one browser or phone.
  const pool = memoryPool(http.memory)
  const claim = memoryClaims(pool)
  const isProxy = proxyCheck(http.trustProxy)
  const share = (part: number) => Math.max(Math.min(most, 32), Math.ceil(most * part))
  const refused: Refused = (refusal) => logNoise(log, refusal, http.logClients)
  const app = fastify({
    ...dependencyLogs(log),
    logController: quietFramework,
    genReqId: requestIdOf,
    ...serverOptions(http, certificate),
    trustProxy: http.trustProxy,
    connectionTimeout: http.idleMs,
    schemaController: { compilersFactory: { buildSerializer: lazySerializers } },
    return503OnClosing: false,
    frameworkErrors: (error, request, reply) => {
      logAtEnd(request, reply, http.logClients)
      reply.headers(originHeaders(request.headers.origin))
      respondEarly(error, request, reply)
    },
    clientErrorHandler: noiseResponses(paths, originHeaders, refused),
    // For `/%` the router calls `frameworkErrors` with a bad URL, as for every path that cannot be decoded.
    rewriteUrl: (raw) => {
      raw.method = methodOf(raw)
      const { url = '/' } = raw
      // The router would take `*` for `/`. It is no path (RFC 9112, section 3.2.4).
      if (url === '*') return '/*'
      return isReadableTarget(url) ? url : '/%'
    },
    // Longer than any URL that fits the header limit. So the vault, not the router, refuses a name that is too long.
    routerOptions: { maxParamLength: 16 * 1024, querystringParser: parseQuery },
  }).withTypeProvider<TypeBoxTypeProvider>()

  app.decorate('vault', vault)
  app.decorateRequest('session', null)

  // First: when the server stops, running responses are marked as the last ones before `connections` lets waiting ones end.
  await app.register(pipelining, { addressOf: clientAddress(isProxy), isProxy, refused })
  await app.register(connections, {
    most,
    mostOfNetwork: share(http.networkShare),
    isProxy,
    lingerMs: http.lingerMs,
    graceMs: http.graceMs,
  })
  if (http.metrics) {
    // Loaded only if it is used: its package takes part of each start.
    const { metrics } = await import('./plugins/metrics/metrics.ts')
    await app.register(metrics, { ...http.metrics, pool })
  }
  await app.register(pace, http.pace)
  if (http.tls && certificate) {
    await app.register(handshakes)
    await app.register(tlsWrites)
    await app.register(certificateRenewal, { ...http.tls, first: certificate })
  }
  if (http.trustProxy) await app.register(proxies)
  if (http.tracing) {
    const { tracing } = await import('./plugins/trace/tracing.ts')
    await app.register(tracing, { provider: http.tracing, clients: http.logClients, isProxy })
  }
  await app.register(requestId)
  await app.register(requestLog, { clients: http.logClients })
  await app.register(safeDefaults)
  if (http.corsOrigins.length > 0) await app.register(crossOrigin, { originHeaders })
  await app.register(strictHttp)
  if (http.corsOrigins.length > 0) await app.register(preflights)
  await app.register(tusVersion)
  await app.register(errors, { paths })
  await app.register(lateContinue)
  await app.register(identityOnly)
  await app.register(jsonBodies)
  await app.register(validation)
  await app.register(shares, {
    mostOfNetwork: share(http.networkShare),
    mostOfUser: share(http.userShare),
    uploadBytes: http.memory.uploadBytes,
    claim,
  })
  if (vault.rules.readOnly) await app.register(readOnly)
  await app.register(overload, http.overload)
  await app.register(simpleRequests)
  await app.register(limits, { rules: http.limits })
  await app.register(docs)
  await app.register(web, { folder: http.web })
  await app.register(sweeper)
  await app.register(readBacks)

  await app.register(health)
  await app.register(register)
  await app.register(signIn)
  await app.register(uploadOptions, { paths })

  await app.register(async (members) => {
    await members.register(auth, http)
    const uploading = { interim: http.interimResponses }
    members.addHook('onError', recordDamage)
    await members.register(sessions)
    await members.register(files)
    await members.register(timeline)
    await members.register(changes, { claim })
    await members.register(lookup, uploading)
    await members.register(uploadForm, uploading)
    await members.register(uploadRaw, uploading)
    await members.register(uploads, uploading)
    await members.register(download)
    await members.register(thumbnails)
    await members.register(trash)
    await members.register(account)
    await members.register(activity)
    await members.register(exports, { claim })
  })

  return app
}

/** The options of Node's server. The cast makes the type of the app the same with and without TLS. */
function serverOptions({ headerMs }: HttpRules, certificate: Certificate | undefined): { http: ServerOptions } {
  const options = {
    // plugins/intake/strict-http.ts checks the Host, and responds with a problem document.
    requireHostHeader: false,
    headersTimeout: headerMs,
    connectionsCheckingInterval: headerMs / 4,
  }
  const tls = certificate && { https: { ...options, ...secured(certificate), handshakeTimeout: headerMs } }
  return (tls ?? { http: options }) as { http: ServerOptions }
}

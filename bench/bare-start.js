/** The bare server of the measurement `start`: the framework, the plugins and the database that our server uses, and one route. */
import { join } from 'node:path'
import multipart from '@fastify/multipart'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import Database from 'better-sqlite3'
import fastify from 'fastify'

const { DATA_DIR, PORT } = process.env
const database = new Database(join(DATA_DIR, 'minikeepsafe.db'))
const app = fastify({ logger: { level: 'error' } })
await app.register(multipart)
await app.register(swagger, { openapi: { openapi: '3.1.0', info: { title: 'bare', version: '1' } } })
await app.register(swaggerUi, { routePrefix: '/docs' })
const response = { 200: { type: 'object', properties: { status: { type: 'string' } } } }
app.get('/health/ready', { schema: { response } }, async () => {
  database.prepare('SELECT id FROM users LIMIT 1').get()
  return { status: 'ok' }
})
process.once('SIGTERM', async () => {
  await app.close()
  database.close()
})
await app.listen({ port: Number(PORT) })

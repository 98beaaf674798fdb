import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { FastifyInstance } from 'fastify'
import { expect, it, onTestFinished } from 'vitest'
import { testApp } from '../support/app.ts'

it('lets nobody in without a session but where the list of public routes says so', async () => {
  const routes = routeTable()
  const app = await testApp({ PIN_DELIVERY: 'console' })
  const open: string[] = []
  for (const route of routes) {
    const [method, path] = route.split(' ') as [string, string]
    const answer = await app.request(path.replace(/:\w+|\*/g, 'x'), { method })
    const refused = answer.status === 401 && answer.headers['www-authenticate'] === 'Bearer'
    if (!refused) open.push(route)
  }
  expect(open.filter((route) => !/^(GET|HEAD) \/docs(\/|$)/.test(route)).sort()).toEqual([
    'GET /',
    'GET /health/live',
    'GET /health/ready',
    'HEAD /',
    'HEAD /health/live',
    'HEAD /health/ready',
    'OPTIONS /v1/files',
    'OPTIONS /v1/files/:name',
    'OPTIONS /v1/uploads',
    'OPTIONS /v1/uploads/:id',
    'POST /v1/pins',
    'POST /v1/sessions',
    'POST /v1/users',
  ])
})

/** Every route of the servers that start from here on, also those that the document does not have. */
function routeTable(): Set<string> {
  const routes = new Set<string>()
  const watch = (message: unknown) => {
    const { fastify } = message as { fastify: FastifyInstance }
    fastify.addHook('onRoute', ({ method, url }) => {
      for (const one of [method].flat()) routes.add(`${one} ${url}`)
    })
  }
  subscribe('fastify.initialization', watch)
  onTestFinished(() => void unsubscribe('fastify.initialization', watch))
  return routes
}

import { expect, it } from 'vitest'
import { testApp } from '../support/app.ts'

interface Operation {
  security?: object[]
}

it('lets nobody in without a session but where the list of public routes says so', async () => {
  const app = await testApp({ PIN_DELIVERY: 'console' })
  const { body } = await app.request('/docs/json')
  const { paths } = body as { paths: Record<string, Record<string, Operation>> }
  const open: string[] = []
  for (const [path, operations] of Object.entries(paths)) {
    for (const method of Object.keys(operations)) {
      const answer = await app.request(path.replace(/\{\w+\}/g, 'x'), { method: method.toUpperCase() })
      const refused = answer.status === 401 && answer.headers['www-authenticate'] === 'Bearer'
      if (!refused) open.push(`${method} ${path}`)
    }
  }
  expect(open.sort()).toEqual([
    'get /health/live',
    'get /health/ready',
    'post /v1/pins',
    'post /v1/sessions',
    'post /v1/users',
  ])
})

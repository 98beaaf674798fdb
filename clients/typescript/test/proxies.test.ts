/** A proxy that wants a sign-in of its own, or the page of a network: it answers every request with its page. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, it, onTestFinished } from 'vitest'
import { createClient, memoryToken } from '../src/node.ts'
import { all, codeOf, MiB } from './support.ts'

async function proxy(): Promise<string> {
  const server = createServer(async (request, response) => {
    await once(request.resume(), 'end')
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end('<!doctype html><p>Sign in')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

it('its page is never taken for the vault', async () => {
  const token = memoryToken('mks_token')
  const client = createClient({ baseUrl: await proxy(), token, retry: { attempts: 0 } })
  const failing = [
    client.account.get(),
    client.account.export(),
    client.account.delete(),
    client.sessions.list(),
    client.sessions.end('id'),
    client.sessions.endOthers(),
    client.sessions.signOut(),
    all(client.list()),
    client.find('beach.jpg'),
    client.remove('beach.jpg'),
    client.rename('beach.jpg', 'sea.jpg'),
    client.download('beach.jpg'),
    client.download('beach.jpg', { range: { from: 0, to: 10 } }),
    client.upload(Buffer.from('sand'), { name: 'beach.jpg' }),
    client.upload(Buffer.from('sand'), { name: 'beach.jpg', ifStored: 'send', ifTrashed: 'send' }),
    client.upload(Buffer.alloc(5 * MiB), { name: 'film', ifStored: 'send', ifTrashed: 'send' }),
    client.thumbnail.get('beach.jpg'),
    client.thumbnail.put('beach.jpg', Buffer.from('small'), { type: 'image/jpeg' }),
    client.thumbnail.remove('beach.jpg'),
    client.trash.remove('id'),
    client.trash.empty(),
    client.uploads.cancel('id'),
  ]
  expect(await Promise.all(failing.map(codeOf))).toEqual(failing.map(() => 'unexpected-response'))
  expect(token.get()).toBe('mks_token')
})

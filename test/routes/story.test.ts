import { expect, it } from 'vitest'
import { testApp } from '../support/app.ts'

it('takes a photo in and hands it out in four steps', async () => {
  const app = await testApp()
  const deviceId = 'ios-6f1c2b9a4d8e4f7a'
  const photo = Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 1, 2, 3])

  const registered = await app.post('/v1/users', { name: 'Ada', email: 'ada@example.org', deviceId })
  const { pin } = registered.body as { pin: string }
  const signedIn = await app.post('/v1/sessions', { deviceId, pin })
  const headers = { authorization: `Bearer ${(signedIn.body as { token: string }).token}` }
  await app.request('/v1/files/beach.jpg', { method: 'PUT', headers, body: photo })
  const download = await app.request('/v1/files/beach.jpg', { headers })

  expect([registered.status, signedIn.status, download.status]).toEqual([201, 201, 200])
  expect(download.bytes).toEqual(photo)
})

import { createHash, randomBytes } from 'node:crypto'
import { get, type IncomingMessage } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { member, testApp } from '../support/app.ts'

const MiB = 1024 * 1024

it('hands a large file out unchanged to a client that reads it slowly', async () => {
  const app = await testApp()
  const ana = await member(app)
  const film = randomBytes(16 * MiB + 12_345)
  await ana.put('film.mp4', film)

  const headers = { authorization: `Bearer ${ana.token}` }
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    get(`${app.url}/v1/files/film.mp4`, { headers, agent: false }, resolve).on('error', reject)
  })
  const received = createHash('sha256')
  let taken = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    received.update(chunk)
    taken += chunk.length
    if (taken >= MiB) {
      taken = 0
      await sleep(10)
    }
  }

  expect(received.digest('hex')).toBe(createHash('sha256').update(film).digest('hex'))
})

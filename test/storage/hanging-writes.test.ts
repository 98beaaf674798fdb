/** A disk that answers reads and hangs on writes: a frozen file system. The database is on another disk. */
import { randomBytes } from 'node:crypto'
import { describe, expect, it, type TestContext } from 'vitest'
import { blobsOnDisk, member, type TestApp, testApp } from '../support/app.ts'
import { type FreezableDisk, freezableDisk } from '../support/disk.ts'
import { head, wire } from '../support/wire.ts'

const MiB = 1024 * 1024

describe('while the disk of the uploads hangs on writes', () => {
  it.for([
    ['small', 20],
    ['of several batches', 3 * MiB],
  ] as const)('an upload that is %s is refused, the next one at once, and reads go on', async ([, size], { skip }) => {
    const { app, disk } = await onFreezableDisk(skip)
    const ada = await member(app)
    await ada.put('photo', 'sand')
    disk.freeze()
    expect(await ada.put('film', randomBytes(size))).toBeProblem(503, 'not-ready')
    const next = await ada.put('another', 'x')
    expect(next).toBeProblem(503, 'not-ready')
    expect(next.headers['retry-after']).toBe('5')
    expect(await app.request('/health/ready')).toBeProblem(503, 'not-ready')
    expect((await app.request('/health/ready')).body).toMatchObject({ detail: 'Not working: uploads.' })
    expect((await ada.get('photo')).body).toBe('sand')

    disk.thaw()
    await expect.poll(async () => (await app.request('/health/ready')).status).toBe(200)
    expect((await ada.put('film', randomBytes(size))).status).toBe(201)
    app.sweep()
    await app.settled()
    // Those of the two files, and nothing of the refused upload.
    await expect.poll(async () => (await blobsOnDisk(app)).length).toBe(2)
  })

  it('an upload that waited for its client is refused, and a slow client alone is no fault of the disk', async ({
    skip,
  }) => {
    const { app, disk } = await onFreezableDisk(skip)
    const ada = await member(app)
    const film = wire(app.url)
    film.socket.write(
      head('PUT /v1/files/film', { authorization: `Bearer ${ada.token}`, 'content-length': 1000 * MiB }),
    )
    film.socket.write(randomBytes(2 * MiB))
    await expect.poll(() => blobsOnDisk(app)).toHaveLength(1)
    // Longer than the store may take for a write.
    await new Promise((resolve) => setTimeout(resolve, 500))
    expect((await app.request('/health/ready')).status).toBe(200)
    disk.freeze()
    film.socket.write(randomBytes(4 * MiB))
    expect(await film.until('not-ready')).toMatch(/^HTTP\/1\.1 503 /)
    disk.thaw()
    await expect.poll(() => blobsOnDisk(app)).toEqual([])
  })

  it('readiness finds out without an upload', async ({ skip }) => {
    const { app, disk } = await onFreezableDisk(skip)
    expect((await app.request('/health/ready')).status).toBe(200)
    disk.freeze()
    const detail = async () => (await app.request('/health/ready')).body
    await expect.poll(detail).toMatchObject({ detail: 'Not working: uploads.' })
    disk.thaw()
    await expect.poll(detail).toEqual({ status: 'ok' })
  })
})

async function onFreezableDisk(skip: TestContext['skip']): Promise<{ app: TestApp; disk: FreezableDisk }> {
  const disk = freezableDisk(skip)
  return { app: await testApp({ UPLOADS_DIR: disk.path }), disk }
}

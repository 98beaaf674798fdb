/** Uploads that are not complete. They are made as a client makes them, with tus. */
import { expect } from 'vitest'
import type { Member } from './app.ts'
import type { Answer } from './http.ts'

const TUS = { 'tus-resumable': '1.0.0' }

/** An upload of so many bytes that has received these pieces, each as a part of its own. Returns its id. */
export async function unfinished(owner: Member, name: string, sizeBytes: number, pieces: Buffer[]): Promise<string> {
  const headers = {
    ...TUS,
    'upload-length': String(sizeBytes),
    'upload-metadata': `filename ${Buffer.from(name).toString('base64')}`,
  }
  const created = await owner.request('/v1/uploads', { method: 'POST', headers })
  expect(created.status).toBe(201)
  const id = String(created.headers.location).split('/').at(-1) as string
  let offset = 0
  for (const piece of pieces) {
    expect((await append(owner, id, offset, piece)).status).toBe(204)
    offset += piece.length
  }
  return id
}

export function append(owner: Member, id: string, offset: number, body: Buffer): Promise<Answer> {
  const headers = {
    ...TUS,
    'content-type': 'application/offset+octet-stream',
    'upload-offset': String(offset),
  }
  return owner.request(`/v1/uploads/${id}`, { method: 'PATCH', headers, body })
}

/** The status of the upload, and its offset. */
export async function offsetOf(owner: Member, id: string): Promise<[number, string | undefined]> {
  const { status, headers } = await owner.request(`/v1/uploads/${id}`, { method: 'HEAD', headers: TUS })
  return [status, headers['upload-offset'] as string | undefined]
}

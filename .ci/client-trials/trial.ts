/** One trial for every generated client: a form upload, a raw upload, a download and an error. */
import { strict as assert } from 'node:assert'

export interface Stored {
  name: string
  size: number
  contentType: string
}

export interface Client {
  /** A form with this file. */
  upload(file: File): Promise<Stored>
  /** The raw bytes as `image/jpeg`. */
  put(name: string, photo: Blob): Promise<Stored>
  download(name: string): Promise<Blob | ArrayBuffer>
  /** The `code` of the refusal where there is no file of this name. */
  codeWithout(name: string): Promise<string>
}

const BYTES = Uint8Array.from({ length: 100_000 }, (_, i) => (i * 7 + 255) % 256)

/** The server that the trial runs against. */
export const url = process.env.SERVER_URL ?? ''

/** Tries all of it, and fails where a step is wrong, or is right but was said to be wrong. */
export async function trial(clientOf: (token: string) => Client, wrong: (keyof Client)[] = []): Promise<void> {
  const client = clientOf(await signedIn())
  const photo = new File([BYTES], 'beach.jpg', { type: 'image/jpeg' })
  const steps: Record<keyof Client, () => Promise<void>> = {
    async upload() {
      const { name, size, contentType } = await client.upload(photo)
      assert.deepEqual(
        { name, size, contentType },
        { name: 'beach.jpg', size: BYTES.length, contentType: 'image/jpeg' },
      )
    },
    async put() {
      const { name, size, contentType } = await client.put('sea.jpg', photo)
      assert.deepEqual({ name, size, contentType }, { name: 'sea.jpg', size: BYTES.length, contentType: 'image/jpeg' })
    },
    async download() {
      const got = await client.download('beach.jpg')
      const bytes = got instanceof Blob ? await got.arrayBuffer() : got
      assert.ok(Buffer.from(bytes).equals(BYTES), 'other bytes')
    },
    async codeWithout() {
      assert.equal(await client.codeWithout('none.jpg'), 'file-not-found')
    },
  }
  for (const [name, step] of Object.entries(steps) as [keyof Client, () => Promise<void>][]) {
    const error = await step().then(
      () => null,
      (reason: unknown) => reason,
    )
    process.stdout.write(`  ${name}: ${error === null ? 'ok' : `wrong: ${String(error).split('\n', 1)[0]}`}\n`)
    if ((error !== null) !== wrong.includes(name)) process.exitCode = 1
  }
}

async function signedIn(): Promise<string> {
  const deviceId = `trial-${crypto.randomUUID()}`
  const email = `${crypto.randomUUID()}@example.org`
  const { pin } = await post('/v1/users', { name: 'Ada', email, deviceId })
  return String((await post('/v1/sessions', { deviceId, pin })).token)
}

async function post(path: string, body: unknown): Promise<Record<string, unknown>> {
  const headers = { 'content-type': 'application/json' }
  return (await fetch(url + path, { method: 'POST', headers, body: JSON.stringify(body) })).json()
}

/** For clients that may give nothing. */
export function given<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('nothing was given')
  return value
}

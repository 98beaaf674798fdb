/** The page of client.test.ts: uploads the picked file with the client, and reports its progress. */
import { createClient, indexedDbStore } from '../../clients/typescript/src/index.ts'

const { baseUrl = '', token = '' } = Object.fromEntries(new URLSearchParams(location.hash.slice(1)))
const client = createClient({ baseUrl, token, unfinished: indexedDbStore(), retry: { baseMs: 50 } })
const report = (what: string, bytes: number) =>
  (globalThis as unknown as { report: (what: string, bytes: number) => Promise<void> }).report(what, bytes)

document.querySelector('input')?.addEventListener('change', async ({ target }) => {
  const [file] = (target as HTMLInputElement).files ?? []
  if (!file) return
  try {
    const onProgress = ({ hashed, stored }: { hashed: number; stored: number }) => {
      if (hashed === file.size) void report('stored', stored)
    }
    const result = await client.upload(file, { onProgress })
    await report(result.outcome === 'stored' ? 'done' : 'found', file.size)
    const download = await client.download(result.file.name)
    await report('downloaded', (await download.bytes()).length)
  } catch (error) {
    await report(`error: ${error}`, 0)
  }
})

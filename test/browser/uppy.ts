/** The page of uppy.test.ts: Uppy's dashboard, which uploads with tus. */
import Uppy from '@uppy/core'
import Dashboard from '@uppy/dashboard'
import Tus from '@uppy/tus'

const { endpoint = '', token = '' } = Object.fromEntries(new URLSearchParams(location.hash.slice(1)))
const report = (window as unknown as { report(what: string, bytes?: number): void }).report

new Uppy()
  .use(Dashboard, { inline: true, target: '#uppy' })
  .use(Tus, {
    endpoint,
    headers: { authorization: `Bearer ${token}` },
    chunkSize: 512 * 1024,
    retryDelays: Array.from({ length: 20 }, () => 200),
  })
  .on('upload-progress', (_file, { bytesUploaded }) => report('progress', Number(bytesUploaded)))
  .on('upload-success', () => report('success'))
  .on('upload-error', (_file, error) => report(`error: ${error.message}`))

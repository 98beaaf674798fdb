import { createApiClient } from './generated/openapi-zod-client'
import { trial, url } from './trial'

await trial((token) => {
  const headers = { authorization: `Bearer ${token}` }
  const client = createApiClient(url)
  return {
    upload: (file) => client.uploadForm({ file }, { headers }),
    put: (name, photo) =>
      client.putFile(photo as File, { params: { name }, headers: { ...headers, 'Content-Type': 'image/jpeg' } }),
    download: async (name) =>
      (await client.getFile({ params: { name }, headers, responseType: 'arraybuffer' })) as unknown as ArrayBuffer,
    codeWithout: async (name) =>
      client.getFile({ params: { name }, headers }).then(
        () => 'none',
        (error: { response?: { data: { code: string } } }) => error.response?.data.code ?? String(error),
      ),
  }
})

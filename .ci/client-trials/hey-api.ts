import { createClient } from './generated/hey-api/client'
import { getFile, putFile, uploadForm } from './generated/hey-api/sdk.gen'
import { given, trial, url } from './trial'

await trial((token) => {
  const client = createClient({ baseUrl: url, auth: token })
  return {
    upload: async (file) => given((await uploadForm({ client, body: { file } })).data),
    put: async (name, body) =>
      given((await putFile({ client, path: { name }, body, headers: { 'Content-Type': 'image/jpeg' } })).data),
    download: async (name) => given((await getFile({ client, path: { name }, parseAs: 'blob' })).data),
    codeWithout: async (name) => given((await getFile({ client, path: { name } })).error).code,
  }
})

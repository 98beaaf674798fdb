import createClient from 'openapi-fetch'
import type { paths } from './generated/openapi-fetch'
import { given, trial, url } from './trial'

await trial((token) => {
  const client = createClient<paths>({ baseUrl: url, headers: { authorization: `Bearer ${token}` } })
  // The types have a string for bytes; what is sent is what the serializer gives.
  const instead = (body: Blob | FormData) => ({ bodySerializer: () => body })
  return {
    async upload(file) {
      const form = new FormData()
      form.set('file', file)
      return given((await client.POST('/v1/files', { body: { file: '' }, ...instead(form) })).data)
    },
    async put(name, photo) {
      const headers = { 'Content-Type': 'image/jpeg' }
      const params = { path: { name } }
      return given((await client.PUT('/v1/files/{name}', { params, headers, body: '', ...instead(photo) })).data)
    },
    download: async (name) =>
      given((await client.GET('/v1/files/{name}', { params: { path: { name } }, parseAs: 'blob' })).data),
    codeWithout: async (name) =>
      given((await client.GET('/v1/files/{name}', { params: { path: { name } } })).error).code,
  }
})

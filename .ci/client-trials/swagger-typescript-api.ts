import { Api, type Problem } from './generated/swagger-typescript-api/api'
import { trial, url } from './trial'

// Its client makes JSON of raw bytes.
await trial(
  (token) => {
    const api = new Api({ baseUrl: url, baseApiParams: { headers: { authorization: `Bearer ${token}` } } })
    return {
      upload: async (file) => (await api.v1.uploadForm({ file })).data,
      put: async (name, photo) =>
        (await api.v1.putFile(name, photo as File, {}, { headers: { 'Content-Type': 'image/jpeg' } })).data,
      download: async (name) => (await api.v1.getFile(name, {}, { format: 'blob' })).data as Blob,
      codeWithout: async (name) =>
        api.v1.getFile(name, {}, { format: 'json' }).then(
          () => 'none',
          ({ error }: { error: Problem }) => error.code,
        ),
    }
  },
  ['put'],
)

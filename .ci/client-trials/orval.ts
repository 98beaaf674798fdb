import { getFile, putFile, uploadForm } from './generated/orval'
import { trial, url } from './trial'

// Its client calls `fetch` with a path.
const fetchPath = fetch
globalThis.fetch = (target, options) => fetchPath(new URL(String(target), url), options)

// Its client makes JSON of raw bytes, and reads a download as JSON.
await trial(
  (token) => {
    const options = { headers: { authorization: `Bearer ${token}` } }
    return {
      async upload(file) {
        const answer = await uploadForm({ file }, {}, options)
        if (answer.status !== 200 && answer.status !== 201) throw new Error(answer.data.code)
        return answer.data
      },
      async put(name, photo) {
        const answer = await putFile(name, photo, {}, { headers: { ...options.headers, 'Content-Type': 'image/jpeg' } })
        if (answer.status !== 200 && answer.status !== 201) throw new Error(answer.data.code)
        return answer.data
      },
      async download(name) {
        const answer = await getFile(name, {}, options)
        if (answer.status !== 200) throw new Error(String(answer.status))
        return answer.data as Blob
      },
      async codeWithout(name) {
        const answer = await getFile(name, {}, options)
        if (answer.status !== 404) throw new Error(String(answer.status))
        return answer.data.code
      },
    }
  },
  ['put', 'download'],
)

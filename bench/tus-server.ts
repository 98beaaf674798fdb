/** tus-node-server with its store of plain files, as a reference. `PORT` is its port, `FOLDER` its data folder. */
import { FileStore } from '@tus/file-store'
import { Server } from '@tus/server'

const { PORT, FOLDER } = process.env as { PORT: string; FOLDER: string }
const server = new Server({
  path: '/v1/uploads',
  datastore: new FileStore({ directory: FOLDER }),
  relativeLocation: true,
})
server.listen({ host: '127.0.0.1', port: Number(PORT) })
process.on('SIGTERM', () => process.exit(0))

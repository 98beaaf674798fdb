/** Several servers on one PostgreSQL, one Redis and one S3, behind nginx. */
import { randomBytes } from 'node:crypto'
import { temporaryFolder } from './app.ts'
import { describeWith, freePort } from './engines.ts'
import { type Nginx, nginxBefore } from './nginx.ts'
import { emptySchema } from './postgres.ts'
import { type ServerProcess, serverProcess } from './process.ts'
import { newDatabase } from './redis.ts'
import { newBucket, s3Environment } from './s3.ts'
import { expectSound } from './soundness.ts'

export const describeCluster = describeWith(
  'PostgreSQL, Redis, S3 and nginx together',
  'TEST_DATABASE_URL',
  'TEST_REDIS_URL',
  'TEST_S3_ENDPOINT',
  'TEST_NGINX',
)

export interface Cluster {
  nginx: Nginx
  servers: ServerProcess[]
  databaseUrl: string
  /** Starts the server of this number again, on the same port. */
  restart(n: number): Promise<ServerProcess>
  /** Without running servers: checks that every named blob is sound, and that no other blob is left. */
  expectSound(): Promise<void>
}

/** Starts `count` servers at the same time. */
export async function cluster(count: number, settings: Record<string, string> = {}): Promise<Cluster> {
  const bucket = await newBucket()
  const { environment, folder, ...rest } = await clusterOnFolder(count, { ...s3Environment(bucket), ...settings })
  return { ...rest, expectSound: () => expectSound(folder, environment, bucket) }
}

/** The same with the files in a folder that the servers share. */
export async function clusterOnFolder(count: number, settings: Record<string, string> = {}) {
  const folder = await temporaryFolder()
  const databaseUrl = await emptySchema()
  const environment = {
    MASTER_KEY: randomBytes(32).toString('base64'),
    DATABASE_URL: databaseUrl,
    REDIS_URL: await newDatabase(),
    RATE_LIMIT: 'off',
    TRUST_PROXY: '127.0.0.1',
    ...settings,
  }
  const ports: number[] = []
  while (ports.length < count) ports.push(await freePort())
  const start = (port: number) => serverProcess(folder, { ...environment, PORT: String(port) })
  const servers = ports.map(start)
  const urls = await Promise.all(servers.map(({ url }) => url))

  return {
    nginx: await nginxBefore(...urls),
    servers,
    databaseUrl,
    folder,
    environment,
    /** Starts the server of this number again, on the same port. */
    async restart(n: number) {
      const server = start(ports[n] as number)
      servers[n] = server
      await server.url
      return server
    },
  }
}

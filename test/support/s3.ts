/** A real S3 server for tests. `.ci/server-s3` starts it and prints the variables that name it. */
import { randomBytes } from 'node:crypto'
import {
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteBucketCommand,
  DeleteObjectsCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  S3Client,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import { onTestFinished } from 'vitest'
import type { S3Settings } from '../../src/adapters/s3/connection.ts'
import { describeWith } from './engines.ts'
import { type FaultyProxy, faultyProxy } from './faulty-proxy.ts'

const { TEST_S3_ENDPOINT, ...environment } = process.env
export const describeS3 = describeWith('S3', 'TEST_S3_ENDPOINT')

/** Each name has its own access key. `tight`: the store limits it to 1 MiB. */
export type KeyName = 'usual' | 'tight'

/** A new, empty bucket, which is deleted after the test. */
export async function newBucket(key: KeyName = 'usual'): Promise<S3Settings> {
  const prefix = key === 'tight' ? 'TEST_S3_TIGHT' : 'TEST_S3'
  const settings: S3Settings = {
    bucket: `test-${randomBytes(8).toString('hex')}`,
    endpoint: TEST_S3_ENDPOINT as string,
    region: 'us-east-1',
    accessKeyId: environment[`${prefix}_ACCESS_KEY_ID`] as string,
    secretAccessKey: environment[`${prefix}_SECRET_ACCESS_KEY`] as string,
    forcePathStyle: true,
  }
  const client = clientOf(settings)
  await client.send(new CreateBucketCommand({ Bucket: settings.bucket }))
  onTestFinished(async () => {
    const Bucket = settings.bucket
    for (;;) {
      const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket }))
      if (Contents.length === 0) break
      await client.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects: Contents.map(({ Key }) => ({ Key })) } }))
    }
    await client.send(new DeleteBucketCommand({ Bucket }))
    client.destroy()
  })
  return settings
}

/** A client that is independent of the adapter. */
export function clientOf({ endpoint, region, accessKeyId, secretAccessKey }: S3Settings): S3Client {
  return new S3Client({
    endpoint,
    region,
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
  })
}

/** The keys of all objects in the bucket. */
export async function objectsIn(settings: S3Settings): Promise<string[]> {
  const client = clientOf(settings)
  const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: settings.bucket }))
  client.destroy()
  return Contents.map(({ Key = '' }) => Key)
}

/** Begins an upload and sends one part, as if the process was killed after that. */
export async function beginUpload(
  settings: S3Settings,
  Key: string,
  Body = randomBytes(5 * 1024 * 1024),
): Promise<void> {
  const client = clientOf(settings)
  const object = { Bucket: settings.bucket, Key }
  const { UploadId } = await client.send(new CreateMultipartUploadCommand(object))
  await client.send(new UploadPartCommand({ ...object, UploadId, PartNumber: 1, Body }))
  client.destroy()
}

/** The keys of uploads that were neither completed nor aborted. */
export async function unfinishedIn(settings: S3Settings): Promise<string[]> {
  const client = clientOf(settings)
  const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: settings.bucket }))
  client.destroy()
  return Uploads.map(({ Key = '' }) => Key)
}

/** The same bucket behind a proxy that a test can let fail. */
export async function overFaultyLine(settings: S3Settings): Promise<{ settings: S3Settings; line: FaultyProxy }> {
  const { hostname, port } = new URL(settings.endpoint)
  const line = await faultyProxy({ host: hostname, port: Number(port) })
  return { settings: { ...settings, endpoint: `http://127.0.0.1:${line.port}` }, line }
}

/** The settings as the environment variables of a server. */
export function s3Environment(settings: S3Settings): Record<string, string> {
  return {
    S3_BUCKET: settings.bucket,
    S3_ENDPOINT: settings.endpoint,
    S3_ACCESS_KEY_ID: settings.accessKeyId,
    S3_SECRET_ACCESS_KEY: settings.secretAccessKey,
  }
}

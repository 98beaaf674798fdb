/** Opens S3 from the settings. Its driver is loaded only if the settings name a bucket. */
import type { Config } from '../config/config.ts'
import type { Clock } from '../ports/ports.ts'

/** The bucket of the settings; `null` if they name none. */
export async function bucketOf(config: Config, clock: Clock) {
  const { S3_BUCKET, S3_ENDPOINT, S3_REGION, S3_ACCESS_KEY_ID, S3_SECRET_ACCESS_KEY, S3_FORCE_PATH_STYLE } = config
  if (S3_BUCKET === undefined) return null
  const { s3Blobs } = await import('../adapters/s3/blobs.ts')
  const settings = {
    bucket: S3_BUCKET,
    endpoint: S3_ENDPOINT as string,
    region: S3_REGION,
    accessKeyId: S3_ACCESS_KEY_ID as string,
    secretAccessKey: S3_SECRET_ACCESS_KEY as string,
    forcePathStyle: ['true', 'on'].includes(S3_FORCE_PATH_STYLE),
  }
  return s3Blobs(settings, clock)
}

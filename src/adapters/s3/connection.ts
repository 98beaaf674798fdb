/** Sends requests to one bucket, with timeouts, retries and mapped errors. */
import {
  type $Command,
  ListObjectsV2Command,
  S3Client,
  type S3ClientConfig,
  type S3ClientResolvedConfig,
  type ServiceInputTypes,
  type ServiceOutputTypes,
} from '@aws-sdk/client-s3'
import { StoreError } from './errors.ts'

export interface S3Settings {
  bucket: string
  endpoint: string
  region: string
  accessKeyId: string
  secretAccessKey: string
  /** `endpoint/bucket/key` instead of `bucket.endpoint/key`. */
  forcePathStyle: boolean
}

/** The timeout for the header of a response, retries included. A download must be answered within two seconds, also while Redis hangs. */
const ANSWER_MS = 1500
/** The same at the start of the server: no client waits, and a busy machine starts slowly. */
const FIRST_ANSWER_MS = 10_000
const CONNECT_MS = 900
/** The idle timeout of a slow request. A slow request has no other timeout. */
const STALL_MS = 10_000
const TRIES = { prompt: 3, patient: 2 }

type Command<I extends ServiceInputTypes, O extends ServiceOutputTypes> = $Command<
  I,
  O,
  S3ClientResolvedConfig,
  ServiceInputTypes,
  ServiceOutputTypes
>

export type Connection = ReturnType<typeof connection>

export function connection(settings: S3Settings) {
  const prompt = client(settings, TRIES.prompt, 0)
  const patient = client(settings, TRIES.patient, STALL_MS)

  return {
    bucket: settings.bucket,

    /** For fast requests. Only the header of the response has to arrive in time: a body may take longer. */
    async ask<I extends ServiceInputTypes, O extends ServiceOutputTypes>(
      command: Command<I, O>,
      answerMs = ANSWER_MS,
    ): Promise<O> {
      const late = new AbortController()
      const timer = setTimeout(() => late.abort(), answerMs)
      try {
        return await prompt.send(command, { abortSignal: late.signal })
      } catch (error) {
        if (!late.signal.aborted) throw new StoreError(nameOf(command), error)
        throw new StoreError(nameOf(command), { code: 'ETIMEDOUT', message: `no answer within ${answerMs} ms` })
      } finally {
        clearTimeout(timer)
      }
    },

    /** For slow requests: uploads, and requests about many objects. */
    async send<I extends ServiceInputTypes, O extends ServiceOutputTypes>(
      command: Command<I, O>,
      abortSignal?: AbortSignal,
    ): Promise<O> {
      try {
        return await patient.send(command, { ...(abortSignal && { abortSignal }) })
      } catch (error) {
        throw new StoreError(nameOf(command), error)
      }
    },

    close() {
      prompt.destroy()
      patient.destroy()
    },
  }
}

/** Throws an error that names the setting to check if the bucket cannot be used. Never shows a key. */
export async function tryOut(store: Connection, { bucket, endpoint }: S3Settings): Promise<void> {
  try {
    // Not HeadBucket: its error responses have no body, and so no reason.
    await store.ask(new ListObjectsV2Command({ Bucket: bucket, MaxKeys: 1 }), FIRST_ANSWER_MS)
  } catch (error) {
    const { reason, status, message } = error as StoreError
    const advice: Record<string, string> = {
      NoSuchBucket: `S3_BUCKET is ${bucket}, and there is no such bucket at ${endpoint}`,
      InvalidAccessKeyId: `S3_ACCESS_KEY_ID is not known at ${endpoint}`,
      SignatureDoesNotMatch: `S3_SECRET_ACCESS_KEY does not belong to S3_ACCESS_KEY_ID at ${endpoint}`,
      AccessDenied: `S3_ACCESS_KEY_ID may not list the bucket ${bucket}, which is S3_BUCKET`,
      AuthorizationHeaderMalformed: `S3_REGION is not that of the bucket ${bucket}`,
      PermanentRedirect: `S3_REGION or S3_ENDPOINT is not that of the bucket ${bucket}`,
    }
    const unreachable = `S3_ENDPOINT is ${endpoint}, which ${status === undefined ? 'cannot be reached' : 'cannot be used'}`
    throw new Error(`${advice[reason] ?? unreachable} (${message})`, { cause: error })
  }
}

function client(settings: S3Settings, maxAttempts: number, socketTimeout: number): S3Client {
  const { endpoint, region, forcePathStyle, accessKeyId, secretAccessKey } = settings
  // Unlimited, because a slow download keeps its connection for hours, and no request may wait for another.
  const agent = { keepAlive: true, maxSockets: Number.POSITIVE_INFINITY }
  const config: S3ClientConfig = {
    endpoint,
    region,
    forcePathStyle,
    credentials: { accessKeyId, secretAccessKey },
    maxAttempts,
    // Sealed bytes are authenticated already, and many stores do not support the additional checksums.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // `Expect: 100-continue` would need a new connection for each part.
    expectContinueHeader: false,
    requestHandler: { httpAgent: agent, httpsAgent: agent, connectionTimeout: CONNECT_MS, socketTimeout },
  }
  return new S3Client(config)
}

function nameOf(command: object): string {
  return command.constructor.name.replace(/Command$/, '')
}

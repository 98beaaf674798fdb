/** Registering, signing in, the devices that are signed in, and the account. */
import { isVaultError, VaultError } from './errors.ts'
import { pages } from './files.ts'
import { newDeviceId, pairingText, parsePairing } from './pairing.ts'
import { chunksOf, streamOf } from './streams.ts'
import { expected, pathOfExport, segment, type Transport, timeLimit, typeOf } from './transport.ts'
import type { Account, ActivityEvent, OpenedSession, Registered, SentPin, Session, ShownPin } from './wire.ts'

export interface Abortable {
  signal?: AbortSignal
}

export interface SignIn extends Abortable {
  deviceId: string
  pin: string
  /** 1 to 60 characters, for the list of sessions. */
  deviceName?: string
  /** For a page of the server's own origin: the browser keeps the token, and no script sees it. */
  cookie?: boolean
  /** `false`, with `cookie`: the browser forgets the session when it is closed. */
  persistent?: boolean
}

export function openAccount(transport: Transport) {
  return {
    /** By default with a new device id: keep the one of the result. */
    register({
      signal,
      deviceId = newDeviceId(),
      ...person
    }: { name: string; email: string; deviceId?: string } & Abortable): Promise<Registered> {
      return transport.json({ method: 'POST', path: '/v1/users', json: { ...person, deviceId }, signal })
    },

    /** With a session, a PIN for this device id. With an address, a PIN that is sent to it. */
    requestPin({ signal, ...json }: { deviceId: string; email?: string } & Abortable): Promise<ShownPin | SentPin> {
      return transport.json({ method: 'POST', path: '/v1/pins', json, signal })
    },

    signIn,

    /**
     * The text of a picture (QR code) that signs another device in. It works once, until the PIN expires. Only the new device
     * may see it.
     */
    async pair({ signal }: Abortable = {}): Promise<ShownPin & { text: string }> {
      const json = { deviceId: newDeviceId() }
      const shown = await transport.json<ShownPin>({ method: 'POST', path: '/v1/pins', json, signal })
      return { ...shown, text: pairingText({ server: transport.server, ...shown }) }
    },

    /** For the text of a picture of this server; `parsePairing` says which server it is of. */
    async signInWithPairing(text: string, options: Omit<SignIn, 'deviceId' | 'pin'> = {}): Promise<OpenedSession> {
      const { server, deviceId, pin } = parsePairing(text)
      if (new URL(server).href !== new URL(transport.server).href) {
        throw new VaultError('invalid-pairing', `The picture is of another server: ${server}`)
      }
      return signIn({ ...options, deviceId, pin })
    },

    sessions: {
      async list({ signal }: Abortable = {}): Promise<Session[]> {
        return (await transport.json<{ sessions: Session[] }>({ path: '/v1/sessions', signal })).sessions
      },

      /** Signs that device out, at once. */
      end: async (sessionId: string, { signal }: Abortable = {}): Promise<void> =>
        transport.done({ method: 'DELETE', path: `/v1/sessions/${segment(sessionId)}`, signal }),

      endOthers: ({ signal }: Abortable = {}): Promise<void> =>
        transport.done({ method: 'DELETE', path: '/v1/sessions', signal }),

      /** Signs this device out, and forgets its token. Its session may have ended already: expired, or ended elsewhere. */
      async signOut({ signal }: Abortable = {}): Promise<void> {
        try {
          await transport.done({ method: 'DELETE', path: '/v1/sessions/current', signal })
        } catch (error) {
          // Without a token there is a cookie, which may be of another user.
          if (!isVaultError(error, 'unauthorized') || (await transport.token.get()) === null) throw error
        }
        await transport.token.set(null)
      },
    },

    account: {
      get: ({ signal }: Abortable = {}): Promise<Account> => transport.json({ path: '/v1/me', signal }),

      /** Deletes the account and all files, at once and for good. */
      async delete({ signal }: Abortable = {}): Promise<void> {
        await transport.done({ method: 'DELETE', path: '/v1/me', signal })
        await transport.token.set(null)
      },

      /**
       * A zip of everything, or of the 1 to 300 files and entries of the trash with these ids. It is incomplete if the stream
       * fails, and cannot be continued.
       */
      async export({ ids, signal }: { ids?: readonly string[] } & Abortable = {}): Promise<{
        stream: ReadableStream<Uint8Array>
        fileName: string
      }> {
        const limit = timeLimit(transport.timeoutMs, signal)
        const call = { path: pathOfExport(ids), signal: limit.signal, isStream: true }
        const response = await transport.send(call, (response) => response)
        expected(typeOf(response) === 'application/zip')
        const fileName = /filename="([^"]+)"/.exec(response.headers.get('content-disposition') ?? '')?.[1]
        return { stream: streamOf(chunksOf(response, limit)), fileName: fileName ?? 'minikeepsafe.zip' }
      },

      /** The events of the account, the newest first. */
      activity: ({ pageSize = 100, signal }: { pageSize?: number } & Abortable = {}) =>
        pages<'events', ActivityEvent>(transport, '/v1/activity', 'events', { limit: pageSize }, signal),
    },
  }

  async function signIn({ signal, cookie, ...json }: SignIn): Promise<OpenedSession> {
    const body = { ...json, ...(cookie && { cookie }) }
    const session = await transport.json<OpenedSession>({ method: 'POST', path: '/v1/sessions', json: body, signal })
    await transport.token.set(session.token ?? null)
    return session
  }
}

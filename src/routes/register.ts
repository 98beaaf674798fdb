/** Registration, and requests for PINs. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { callerOf } from '../http/caller.ts'
import { findSession } from '../http/credentials.ts'
import { problems } from '../problems.ts'
import { failures, timestamp } from '../schemas/common.ts'
import { PinRequest, RegisteredWithPin, Registration, SentPin, ShownPin } from '../schemas/users.ts'

export const register: FastifyPluginAsyncTypebox = async (app) => {
  app.post(
    '/v1/users',
    {
      config: { limits: ['register'] },
      schema: {
        operationId: 'register',
        summary: 'Register, and get a PIN for this device',
        description:
          'The user is created when the PIN is redeemed. With PIN_DELIVERY=response the answer is 201 with the PIN. Otherwise it is 202, and the PIN is delivered by mail or in the log of the server.',
        tags: ['register'],
        security: [],
        body: Registration,
        response: {
          201: RegisteredWithPin,
          202: SentPin,
          ...failures('invalid-request', 'email-taken'),
        },
      },
    },
    async (request, reply) => {
      const answer = await app.vault.enrolment.register(request.body, callerOf(request))
      const pinExpiresAt = timestamp(answer.pinExpiresAt)
      if ('pin' in answer) return reply.code(201).send({ ...answer, pinExpiresAt })
      return reply.code(202).send({ ...answer, pinExpiresAt })
    },
  )

  app.post(
    '/v1/pins',
    {
      config: { limits: ['pins', 'pairing'] },
      schema: {
        operationId: 'requestPin',
        summary: 'Get a PIN for another device',
        description:
          'With a session: 201 with a PIN for that device. A PIN for your own device renews the session before it ends. Without a session, with the address: 202, and the PIN is sent to the address; 401 with PIN_DELIVERY=response.',
        tags: ['register'],
        security: [{ session: [] }, { cookie: [] }, {}],
        body: PinRequest,
        response: {
          201: ShownPin,
          202: SentPin,
          ...failures('invalid-request'),
        },
      },
      // The only route with optional authentication. Credentials that are sent must be valid.
      onRequest: async (request, reply) => {
        request.session = await findSession(request, reply, app.vault)
        if (!request.session && app.vault.enrolment.mode === 'response') throw problems.unauthorized()
      },
    },
    async (request, reply) => {
      const { deviceId, email } = request.body
      if (request.session) {
        const shown = await app.vault.enrolment.pair(request.session, deviceId, callerOf(request))
        return reply.code(201).send({ ...shown, pinExpiresAt: timestamp(shown.pinExpiresAt) })
      }
      if (email === undefined) throw problems.unauthorized()
      const sent = await app.vault.enrolment.remind(email, deviceId, callerOf(request))
      return reply.code(202).send({ ...sent, pinExpiresAt: timestamp(sent.pinExpiresAt) })
    },
  )
}

/** A user, and a PIN on its way. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { callerOf } from '../http/caller.ts'
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
          'The user exists once the PIN is redeemed. 201 with the PIN where the server runs with PIN_DELIVERY=response; else 202, and the PIN arrives another way.',
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
          'Signed in: 201 with a PIN for that device; for your own it renews the session before it ends. Not signed in, with the address: 202, and the PIN goes to the owner of the address; 401 where the server runs with PIN_DELIVERY=response.',
        tags: ['register'],
        security: [{ session: [] }, {}],
        body: PinRequest,
        response: {
          201: ShownPin,
          202: SentPin,
          ...failures('invalid-request'),
        },
      },
      // The one route with optional authentication: a token that is there must be good.
      onRequest: async (request) => {
        const { authorization } = request.headers
        if (authorization !== undefined) request.session = await app.vault.sessions.authenticate(authorization)
        else if (app.vault.enrolment.mode === 'response') throw problems.unauthorized()
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

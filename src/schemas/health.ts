import { Type } from '@sinclair/typebox'

export const Alive = Type.Object(
  {
    status: Type.Literal('ok'),
    version: Type.String({ description: 'The version of the server.', examples: ['0.1.0'] }),
  },
  { 'x-name': 'Alive', description: 'The process runs.' },
)

export const Ready = Type.Object(
  { status: Type.Literal('ok') },
  { 'x-name': 'Ready', description: 'The database and every other engine answers.' },
)

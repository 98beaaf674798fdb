import { Type } from '@sinclair/typebox'

export const Alive = Type.Object({ status: Type.Literal('ok') }, { description: 'The process runs.' })

export const Ready = Type.Object({ status: Type.Literal('ok') }, { description: 'Every engine answers.' })

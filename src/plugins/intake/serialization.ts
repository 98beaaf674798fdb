/**
 * Compiles a response schema when the first response needs it. Most routes document ten refusals or more, and compiling all of
 * them took a third of the start time.
 */
import { SerializerSelector } from '@fastify/fast-json-stringify-compiler'

const buildSerializer = SerializerSelector()

export const lazySerializers: typeof buildSerializer = (...options) => {
  const compile = buildSerializer(...options)
  return (response) => {
    let serialize: ReturnType<typeof compile> | undefined
    return (body) => {
      serialize ??= compile(response)
      return serialize(body)
    }
  }
}

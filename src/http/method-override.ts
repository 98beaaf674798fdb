/** tus: a POST to an upload that names the method it stands for. Some environments of clients cannot send PATCH and DELETE. */
import type { IncomingMessage } from 'node:http'

const METHODS = ['PATCH', 'DELETE', 'HEAD']
const UPLOAD = /^\/v1\/uploads\/[^/?]+(?:\?|$)/

/**
 * The method that a request is about. It replaces the method before the request is routed, so every check is that of the other
 * method.
 */
export function methodOf({ method, url = '', headers }: IncomingMessage): string | undefined {
  const named = String(headers['x-http-method-override']).toUpperCase()
  const isOverridden = method === 'POST' && headers['tus-resumable'] !== undefined && UPLOAD.test(url)
  return isOverridden && METHODS.includes(named) ? named : method
}

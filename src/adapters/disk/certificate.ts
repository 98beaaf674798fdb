/** A certificate and its private key, in two PEM files. */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import { readTextFile } from '../../text-files.ts'

/** Returns a function that reads the pair. It throws an error that names the setting if the pair cannot be used. */
export function certificateIn(certPath: string, keyPath: string) {
  return () => {
    const cert = naming('TLS_CERT', certPath, () => readTextFile(certPath))
    const key = naming('TLS_KEY', keyPath, () => readTextFile(keyPath))
    const certificate = naming('TLS_CERT', certPath, () => new X509Certificate(cert))
    const privateKey = naming('TLS_KEY', keyPath, () => createPrivateKey(key))
    if (!certificate.checkPrivateKey(privateKey)) {
      throw new Error(`TLS_KEY is ${keyPath}, which is not the key of the certificate ${certPath} (TLS_CERT)`)
    }
    naming('TLS_CERT', certPath, () => createSecureContext({ cert, key }))
    return { cert, key }
  }
}

function naming<T>(setting: string, path: string, step: () => T): T {
  try {
    return step()
  } catch (cause) {
    throw new Error(`${setting} is ${path}, which cannot be used: ${(cause as Error).message}`, { cause })
  }
}

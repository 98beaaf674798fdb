/** Creates certificates for tests with the installed openssl. */
import { execFileSync } from 'node:child_process'
import { cpSync } from 'node:fs'
import { join } from 'node:path'

export interface CertificateFiles {
  cert: string
  key: string
}

/** Creates a self-signed certificate for 127.0.0.1 and its key in the folder. */
export function newCertificate(folder: string, name = 'vault', kind: 'ec' | 'rsa' = 'ec'): CertificateFiles {
  const files = { cert: join(folder, `${name}.crt`), key: join(folder, `${name}.key`) }
  const algorithm = {
    ec: ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'],
    rsa: ['-newkey', 'rsa:2048'],
  }[kind]
  const subject = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1', '-days', '2']
  execFileSync(
    'openssl',
    ['req', '-x509', ...algorithm, '-nodes', ...subject, '-keyout', files.key, '-out', files.cert],
    {
      stdio: 'ignore',
    },
  )
  return files
}

/** Replaces a pair with another one. */
export function renew(files: CertificateFiles, by: CertificateFiles): void {
  cpSync(by.cert, files.cert)
  cpSync(by.key, files.key)
}

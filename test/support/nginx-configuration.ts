import { cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

const SHIPPED = join(import.meta.dirname, '..', '..', 'deploy', 'nginx')
const TEMPORARY = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']

/** Writes the shipped configuration to a folder, with this port and these servers (URLs). `more` are lines for site.conf. */
export async function configureNginx(folder: string, port: number, servers: string[], more: string[] = []) {
  const certificates = join(import.meta.dirname, 'tls-')
  await mkdir(join(folder, 'tls'))
  for (const name of ['cert', 'key']) await cp(`${certificates}${name}.pem`, join(folder, 'tls', `${name}.pem`))
  await cp(join(SHIPPED, 'nginx.conf'), join(folder, 'nginx.conf'))
  const site = await readFile(join(SHIPPED, 'site.conf'), 'utf8')
  const [ours, others] = ['listen 443 ssl http2;', 'listen [::]:443 ssl http2;']
  if (!site.includes(ours) || !site.includes(others)) throw new Error('site.conf listens elsewhere')
  await writeFile(
    join(folder, 'site.conf'),
    [
      site
        .replace(ours, `listen 127.0.0.1:${port} ssl http2;`)
        .replace(others, '')
        .replaceAll('/var/log/nginx', folder),
      // In the default folders only the user of the package may write.
      ...TEMPORARY.map((kind) => `${kind}_temp_path ${folder}/${kind};`),
      ...more,
    ].join('\n'),
  )
  const [example = ''] = /^server server-1:8000 .*$/m.exec(await readFile(join(SHIPPED, 'servers.conf'), 'utf8')) ?? []
  const lines = servers.map((url) => example.replace('server-1:8000', new URL(url).host))
  await writeFile(join(folder, 'servers.conf'), lines.join('\n'))
}

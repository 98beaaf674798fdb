/** Steady traffic through several servers of one vault. It records what was acknowledged, and checks it at the end. */
import { createHash, randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, onTestFinished } from 'vitest'
import type { Answer, Call } from './http.ts'
import { type ServerProcess, signedIn } from './process.ts'

/** The timeout of a request. Only a hanging request takes this long. */
const PATIENCE_MS = 10_000
/** The pause between two requests of one lane. The test checks responses, not throughput. */
const PAUSE_MS = 70
const NAMES = 5
const MiB = 1024 * 1024
const JSON_BODY = { 'content-type': 'application/json' }

type Act = 'ready' | 'put' | 'get' | 'list' | 'pin' | 'sign-in'

export interface Observed {
  act: Act
  server: number
  startedAt: number
  ms: number
  status: number
  /** The `detail` of a refusal. */
  detail: string
}

export interface Traffic {
  /** The headers of the user who sends the traffic. */
  headers: { authorization: string }
  /** The results of all requests that began since the last call. Waits for running requests. */
  sinceLast(): Promise<Observed[]>
  /** Ends all lanes, and checks that everything acknowledged is stored. */
  end(): Promise<void>
}

/** Sends requests of each kind to each server. */
export async function trafficThrough(servers: readonly ServerProcess[]): Promise<Traffic> {
  const first = servers[0] as ServerProcess
  const headers = await signedIn(first)
  const observed: Observed[] = []
  const faults: string[] = []
  const underWay = new Set<Promise<unknown>>()
  /** The possible contents of each name: the last acknowledged one, and those sent after it without an acknowledgement. */
  const sent = new Map<string, string[]>()
  const tokens: string[] = []
  let seenUntil = performance.now()
  let isOver = false
  onTestFinished(() => {
    isOver = true
  })

  const still = { small: randomBytes(20_000), large: randomBytes(3 * MiB) }
  for (const [name, body] of Object.entries(still)) {
    const store = () => first.request(`/v1/files/${name}`, { method: 'PUT', headers, body })
    await expect.poll(async () => (await store()).status).toBeLessThan(300)
  }
  const film = randomBytes(9 * MiB)
  const lanes = servers.flatMap((_, n) => [
    lane(() => ask('ready', n, '/health/ready', {}, [200])),
    lane((turn) => put(n, `small-${n}-${turn % NAMES}`, randomBytes(1 + ((turn * 7919) % 100_000)))),
    // Larger than one request to S3.
    lane((turn) =>
      put(n, `large-${n}-${turn % NAMES}`, Buffer.concat([randomBytes(16), film])).then(() => pause(2000)),
    ),
    lane((turn) => get(n, turn % 4 === 0 ? 'large' : 'small')),
    lane(() => ask('list', n, '/v1/files?limit=20', { headers }, [200])),
    lane(() => signIn(n)),
  ])

  return {
    headers,

    async sinceLast() {
      const [from, to] = [seenUntil, performance.now()]
      seenUntil = to
      await Promise.all(underWay)
      expect(faults).toEqual([])
      return observed.filter(({ startedAt }) => startedAt >= from && startedAt < to)
    },

    async end() {
      isOver = true
      await Promise.all(lanes)
      expect(faults).toEqual([])
      for (const [name, candidates] of sent) {
        const { status, bytes } = await first.request(`/v1/files/${name}`, { headers })
        expect(candidates, name).toContain(status === 200 ? sha256(bytes) : `none (${status})`)
      }
      for (const token of tokens) {
        const mine = await first.request('/v1/me', { headers: { authorization: `Bearer ${token}` } })
        expect(mine.status, 'of a session that was opened').toBe(200)
      }
    },
  }

  async function lane(act: (turn: number) => Promise<unknown>): Promise<void> {
    for (let turn = 0; !isOver; turn += 1) {
      await act(turn)
      await pause(PAUSE_MS)
    }
  }

  async function put(server: number, name: string, body: Buffer): Promise<void> {
    const digest = sha256(body)
    sent.set(name, [...(sent.get(name) ?? [NOTHING]), digest])
    const answer = await ask('put', server, `/v1/files/${name}`, { method: 'PUT', headers, body }, [200, 201])
    if (answer?.status === 503) return
    sent.set(name, [digest])
  }

  async function get(server: number, name: keyof typeof still): Promise<void> {
    const answer = await ask('get', server, `/v1/files/${name}`, { headers }, [200], name === 'large')
    if (answer?.status === 200 && !answer.bytes.equals(still[name])) faults.push(`get ${name}: other bytes`)
  }

  /** Uses one PIN on all servers at once, and then once more on the first server. */
  async function signIn(server: number): Promise<void> {
    const deviceId = `test-${randomBytes(12).toString('hex')}`
    const post = (body: object, more = {}) => ({
      method: 'POST',
      headers: { ...JSON_BODY, ...more },
      body: JSON.stringify(body),
    })
    const issued = await ask('pin', server, '/v1/pins', post({ deviceId }, headers), [201])
    if (issued?.status !== 201) return
    const { pin } = issued.body as { pin: string }
    const use = (at: number) => ask('sign-in', at, '/v1/sessions', post({ deviceId, pin }), [201, 401])
    const answers = [...(await Promise.all(servers.map((_, at) => use(at)))), await use(server)]
    const opened = answers.filter((answer) => answer !== null).filter(({ status }) => status === 201)
    for (const { body } of opened) tokens.push((body as { token: string }).token)
    if (opened.length > 1) faults.push(`a PIN opened ${opened.length} sessions`)
    const refused = answers.some((answer) => answer?.status === 503)
    if (opened.length === 0 && !refused) faults.push('a right PIN opened no session')
  }

  /** `mayBreak`: the response may break off. `null` for a response that did. */
  async function ask(act: Act, server: number, path: string, call: Call, usual: number[], mayBreak = false) {
    const startedAt = performance.now()
    const asking = answerTo(servers[server] as ServerProcess, path, call)
    underWay.add(asking)
    const answer = await asking
    underWay.delete(asking)
    const what = `${call.method ?? 'GET'} ${path.replace(/[^/]{20,}/g, '…')}`
    if (answer instanceof Error) {
      if (!mayBreak || answer.message === TOO_LATE) faults.push(`${what}: ${answer.message}`)
      return null
    }
    const { detail = '' } = (answer.status >= 400 ? answer.body : {}) as { detail?: string }
    if (!usual.includes(answer.status) && !isRefusal(answer)) faults.push(`${what}: ${answer.status} ${detail}`)
    observed.push({
      act,
      server,
      startedAt,
      ms: performance.now() - startedAt,
      status: answer.status,
      detail,
    })
    return answer
  }
}

const NOTHING = 'none (404)'
const TOO_LATE = `no answer within ${PATIENCE_MS} ms`

/** Whether a 503 has the right code and `Retry-After`. */
function isRefusal({ status, headers, body }: Answer): boolean {
  const { code } = body as { code?: string }
  return status === 503 && ['not-ready', 'outcome-unknown'].includes(code ?? '') && Number(headers['retry-after']) > 0
}

async function answerTo(server: ServerProcess, path: string, call: Call): Promise<Answer | Error> {
  const late = pause(PATIENCE_MS, new Error(TOO_LATE), { ref: false })
  return Promise.race([server.request(path, call).catch((error: Error) => error), late])
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

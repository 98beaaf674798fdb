/** One client: a request after the other, valid, spoilt or mere noise, each answer checked and learnt from. */
import type { Dice } from './chance.ts'
import { credentialsIn } from './credentials.ts'
import { type Crew, mayEndSessions, type Session } from './crew.ts'
import type { Document, Operation, Route } from './document.ts'
import { bytesOf, type Draft, targetOf, validDraft } from './drafts.ts'
import { type Answer, type Line, type Outcome, openLine } from './line.ts'
import { jsonOf, type Memory } from './memory.ts'
import { spoil } from './mutations.ts'
import { NOISES } from './noise.ts'
import { type Asked, faultsOf } from './oracles.ts'

export interface Target {
  url: string
  /** The largest file that it takes. */
  mostBytes: number
  /** The PIN that was delivered for a request, where it is not in the answer. */
  pinOf(requestId: string): Promise<string | null>
}

export interface Witness {
  answered(operation: string, status: number): void
  failed(what: string, request: Buffer, answers: Answer[]): void
}

export interface LaneOptions {
  target: Target
  document: Document
  dice: Dice
  memory: Memory
  crew: Crew
  /** Whose files nobody keeps count of: for requests of which it is not certain what becomes of them. */
  strangers: Crew
  witness: Witness
}

/** The first requests: what succeeds only after others, which chance alone seldom sends in this order. */
const TOUR = [
  ...['putFile', 'putThumbnail', 'headThumbnail', 'getThumbnail'],
  ...['deleteFile', 'listTrash', 'restoreFile', 'deleteFile', 'listTrash', 'deleteForGood'],
  ...['createUpload', 'createUpload', 'createUpload', 'listUploads', 'uploadOffset', 'uploadOffset'],
  ...['appendUpload', 'listUploads', 'cancelUpload'],
]

/** What ends an account, a session or a whole trash would leave little to work with. */
const RARE: Readonly<Record<string, number>> = { signOut: 4, deleteMe: 16, emptyTrash: 16 }

export type Lane = ReturnType<typeof lane>

export function lane({ target, document, dice, memory, crew, strangers, witness }: LaneOptions) {
  // What has many answers is asked more often.
  const lots = document.operations.flatMap((operation) => Object.keys(operation.responses).map(() => operation))
  const author = { document, dice, memory, mostBytes: target.mostBytes }
  let line: Line | null = null
  /** The last one as documented, to be sent again as after a lost answer. */
  let before: Draft | null = null

  /** A file that is made, deleted, restored, deleted and gone, as far as the values fit. */
  async function tour(): Promise<void> {
    if (crew.sessions().length === 0) await signUp()
    for (const id of TOUR) {
      const operation = document.operations.find((one) => one.id === id)
      if (operation) await send(validDraft(author, operation, tokenFor(operation, crew)))
    }
  }

  /** One request, of whatever kind. */
  async function step(): Promise<void> {
    if (crew.sessions().length === 0) await signUp()
    if (dice.oneIn(12)) return noise()
    if (before && dice.oneIn(8)) return void (await send(before))
    const operation = dice.pick(lots)
    if (!dice.oneIn(RARE[operation.id] ?? 1)) return step()
    const draft = validDraft(author, operation, tokenFor(operation, crew))
    if (!dice.oneIn(3)) spoil(draft, author)
    // An answer may be lost, and with it who is signed in since.
    if (draft.unfinished && crew.alone && operation.session !== 'needed') return step()
    if (draft.unfinished) asStranger(draft)
    if (draft.spoilt.length === 0) before = draft
    await send(draft)
  }

  function tokenFor({ session }: Operation, { sessions }: Crew): string | null {
    const known = sessions()
    return known.length === 0 || (session === 'optional' && dice.oneIn(2)) ? null : dice.pick(known).token
  }

  function asStranger(draft: Draft) {
    const other = strangers.sessions()[0]?.token ?? 'none'
    for (const { token } of crew.sessions()) {
      draft.headers = draft.headers.map(([name, value]) => [name, value.replace(token, other)])
    }
  }

  /** Sends a draft and holds its answer against everything that is known. */
  async function send(draft: Draft): Promise<Answer | null> {
    const bytes = bytesOf(draft, dice)
    const session = sessionIn(draft)
    const asked = askedBy(draft, session)
    const last = draft.unfinished ? { afterMs: dice.pick([0, 20, 100]) } : undefined
    const { answers, fault } = await exchange(bytes, [draft.method], last)
    const [answer] = answers
    if (fault) witness.failed(fault, bytes, answers)
    if (!answer) return null
    const { route } = document.route(draft.method, asked.target)
    witness.answered(route?.operation.id ?? 'none', answer.status)
    const faults = faultsOf(document, asked, answer)
    if (route && session) faults.push(...(crew.modelOf(session.userId)?.apply(route, draft.method, answer) ?? []))
    for (const one of faults) witness.failed(`${route?.operation.id ?? 'nothing'}: ${one}`, bytes, answers)
    // An unfinished request was a stranger's. With what it told, this lane could sign in as the stranger.
    if (!draft.unfinished) await learn(draft, answer, route)
    return answer
  }

  async function exchange(bytes: Buffer, methods: string[], last?: { afterMs: number }): Promise<Outcome> {
    if (!line?.isOpen()) line = openLine(target.url)
    return line.exchange(bytes, methods, last)
  }

  async function learn(draft: Draft, answer: Answer, route: Route | null) {
    memory.learn(answer)
    crew.learn(answer, memory)
    if (answer.status === 202) await learnPin(draft, answer)
    if (route && mayEndSessions(route, answer)) await lookAgain()
  }

  async function learnPin({ body }: Draft, { headers }: Answer) {
    const pin = await target.pinOf(headers['x-request-id'] ?? '')
    const { deviceId } = jsonOf(body ?? Buffer.alloc(0)) as { deviceId: string }
    if (pin) memory.remember({ deviceId, pin })
  }

  async function lookAgain() {
    for (const { token } of crew.sessions()) {
      const { answers } = await exchange(plain('/v1/me', token), ['GET'])
      if (answers[0]?.status === 401) crew.end((session) => session.token === token, memory)
    }
  }

  /** The session whose token the draft has; of several, the first. */
  function sessionIn({ headers }: Draft): Session | null {
    const sent = credentialsIn(headers)
    return crew.sessions().find(({ token }) => sent?.token === token) ?? null
  }

  function askedBy(draft: Draft, session: Session | null): Asked {
    const { method, headers, spoilt, noisy, content, body } = draft
    const sent = credentialsIn(headers)
    const dead = memory.fields('ended').some((token) => token === sent?.token)
    const onlyJson = spoilt.every((how) => how.startsWith('JSON '))
    return {
      method,
      target: targetOf(draft),
      token: !sent
        ? 'none'
        : session && crew.alone && sent.certain
          ? 'live'
          : dead && sent.certain
            ? 'dead'
            : 'unknown',
      asDocumented: spoilt.length === 0,
      noisy: noisy || repeated(headers),
      content,
      json: onlyJson && body && !body.includes(0) ? jsonOf(body) : undefined,
    }
  }

  /** Bytes on a connection of their own; whatever comes back must be good HTTP, good problems, and an end. */
  async function noise(): Promise<void> {
    const how = dice.pick(['pipelined', 'pipelined', ...Object.keys(NOISES)])
    // A refusal of noise has a body, whatever it began as.
    const refusable = document.operations.filter(({ method }) => !(NOISES[how] && method === 'HEAD'))
    // A sign-in with a PIN that the lane knows would take the place of one of its sessions.
    const usable = refusable.filter(({ id }) => !(id in RARE) && id !== 'signIn')
    const valid = Array.from({ length: 1 + dice.below(4) }, () => {
      const operation = dice.pick(usable)
      const draft = validDraft(author, operation, tokenFor(operation, strangers))
      return { method: draft.method, bytes: bytesOf(draft, dice) }
    })
    const requests = valid.map(({ bytes }) => bytes)
    const bytes = NOISES[how]?.(dice, requests) ?? Buffer.concat(requests)
    const methods = valid.map(({ method }) => method)
    await line?.end()
    const last = NOISES[how] ? { afterMs: dice.pick([0, 20, 100]) } : undefined
    const { answers, fault } = await exchange(bytes, methods, last)
    for (const answer of answers) {
      witness.answered(`noise: ${how}`, answer.status)
      const asked: Asked = {
        method: 'GET',
        target: '',
        token: 'unknown',
        asDocumented: false,
        noisy: true,
        content: null,
      }
      for (const one of faultsOf(document, asked, answer)) witness.failed(`${how}: ${one}`, bytes, answers)
    }
    if (fault) witness.failed(`${how}: ${fault}`, bytes, answers)
  }

  /** A new user, by the requests of anybody. */
  async function signUp(): Promise<void> {
    for (const id of ['register', 'signIn']) {
      const operation = document.operations.find((one) => one.id === id)
      if (!operation) return
      const draft = validDraft(author, operation, null)
      const made = { name: 'Ada', email: `${dice.word(16)}@example.org`, deviceId: `device-${dice.word(16)}` }
      const known = memory.records(['deviceId', 'pin']).at(-1)
      draft.body = Buffer.from(
        JSON.stringify(id === 'register' ? made : { deviceId: known?.deviceId, pin: known?.pin }),
      )
      await send(draft)
    }
  }

  return {
    tour,
    step,
    exchange,
    end: async () => line?.end(),
  }
}

export function plain(target: string, token: string): Buffer {
  return Buffer.from(`GET ${target} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${token}\r\n\r\n`)
}

/** Most fields have one value: a second one is no good HTTP. */
function repeated(headers: [name: string, value: string][]): boolean {
  return new Set(headers.map(([name]) => name.toLowerCase())).size < headers.length
}

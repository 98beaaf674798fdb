import { describe, expect, it, onTestFinished } from 'vitest'
import { emailDelivery } from '../../src/adapters/delivery/email.ts'
import type { Notice, PinLetter } from '../../src/ports/sign-in.ts'
import { MINUTE, SECOND, testClock } from '../support/app.ts'
import { mailSink, PATIENCE, pinIn, silentServer, smtpError } from '../support/mail.ts'

/** Short pauses and timeouts: what is tested is what happens after them. */
const BRISK = { firstPauseMs: 5, timeoutMs: 300 }

function postman(url: string, limits: object = {}, from = 'Our vault <vault@example.org>') {
  const clock = testClock()
  const told: string[] = []
  const tell = (fields: object, message: string) => void told.push(`${message} ${JSON.stringify(fields)}`)
  const delivery = emailDelivery({ url, from }, clock, tell, { ...BRISK, ...limits })
  onTestFinished(delivery.close)
  const letter = (changed: Partial<PinLetter> = {}): PinLetter => ({
    email: 'ada@example.org',
    secret: '0427',
    kind: 'pin',
    expiresAt: clock() + 5 * MINUTE,
    requestId: 'r1',
    ...changed,
  })
  const notice = (changed: Partial<Notice> = {}): Notice => ({
    email: 'ada@example.org',
    event: 'new-device',
    at: clock(),
    address: '192.0.2.7',
    requestId: 'r2',
    ...changed,
  })
  return { clock, told, delivery, letter, notice }
}

describe('a mail with a PIN', () => {
  it('goes from the operator’s address to that of the person, and to nobody else', async () => {
    const sink = await mailSink()
    const { delivery, letter } = postman(sink.url)
    await delivery.deliver(letter())
    expect(sink.mails).toHaveLength(1)
    expect(sink.mails[0]).toMatchObject({
      from: 'vault@example.org',
      to: ['ada@example.org'],
      headers: { from: 'Our vault <vault@example.org>', to: 'ada@example.org', subject: 'Your minikeepsafe PIN' },
    })
  })

  it('has the PIN with its leading zeros, plain and in HTML, how long it lives and what to do if nobody asked', async () => {
    const sink = await mailSink()
    const { delivery, letter } = postman(sink.url)
    await delivery.deliver(letter({ secret: '0007' }))
    for (const part of [sink.mails[0]?.plain, sink.mails[0]?.html]) {
      expect(part?.match(/\b\d{4}\b/g)).toEqual(['0007'])
      expect(part?.replace(/\s+/g, ' ')).toContain('for 5 minutes, until 08:35:00 UTC.')
      expect(part).toContain('If you did not ask for this')
    }
    expect(sink.mails[0]?.headers.subject).not.toContain('0007')
  })

  it.each([
    [10 * SECOND, 'for 10 seconds, until 08:30:10 UTC'],
    [24 * 60 * MINUTE, 'for 24 hours, until 08:30:00 UTC'],
  ])('says how long %i ms are', async (ms, words) => {
    const sink = await mailSink()
    const { delivery, letter, clock } = postman(sink.url)
    await delivery.deliver(letter({ expiresAt: clock() + ms }))
    expect(sink.mails[0]?.plain.replace(/\s+/g, ' ')).toContain(words)
  })

  it('says that a machine wrote it, when, and under which id', async () => {
    const sink = await mailSink()
    const { delivery, letter } = postman(sink.url)
    await delivery.deliver(letter())
    expect(sink.mails[0]?.headers).toMatchObject({
      'auto-submitted': 'auto-generated',
      date: 'Sun, 22 Nov 2026 08:30:00 +0000',
      'message-id': expect.stringMatching(/^<[\w-]{36}@example\.org>$/),
    })
  })

  it('has a long code in groups that are easy to type', async () => {
    const sink = await mailSink()
    const { delivery, letter } = postman(sink.url)
    await delivery.deliver(letter({ kind: 'code', secret: 'ABCDEFGHIJKLMN27' }))
    for (const part of [sink.mails[0]?.plain, sink.mails[0]?.html]) {
      expect(part).toContain('ABCD EFGH IJKL MN27')
      expect(part).toContain('PINs are paused')
    }
  })

  it('may come from an address without a name', async () => {
    const sink = await mailSink()
    const { delivery, letter } = postman(sink.url, {}, 'vault@example.org')
    await delivery.deliver(letter())
    expect(sink.mails[0]?.headers.from).toBe('vault@example.org')
  })
})

describe('a notice', () => {
  it.each([
    ['new-device', 'A new device signed in to your vault'],
    ['locked', 'Wrong PINs for your vault'],
  ] as const)('of %s says what happened, when and from where', async (event, subject) => {
    const sink = await mailSink()
    const { delivery, notice } = postman(sink.url)
    await delivery.notify(notice({ event }))
    expect(sink.mails[0]?.headers.subject).toBe(subject)
    const words = '2026-11-22 08:30:00 UTC. IP address: 192.0.2.7.'
    for (const part of [sink.mails[0]?.plain, sink.mails[0]?.html]) expect(part?.replace(/\s+/g, ' ')).toContain(words)
  })

  it('prints no address that is none', async () => {
    const sink = await mailSink()
    const { delivery, notice } = postman(sink.url)
    await delivery.notify(notice({ address: '<a href="//evil.org">' }))
    await delivery.notify(notice({ address: '2001:db8::7' }))
    expect(sink.mails[0]?.plain).toContain('IP address: unknown.')
    expect(sink.mails[0]?.raw).not.toContain('evil')
    expect(sink.mails[1]?.plain).toContain('IP address: 2001:db8::7.')
  })
})

describe('a mail to nobody', () => {
  const nobody = { email: null }

  it('is a conversation with the mail server as long as one with a mail, and no mail', async () => {
    const users: unknown[] = []
    const sink = await mailSink({
      authOptional: false,
      allowInsecureAuth: true,
      onAuth: ({ username }, _session, done) => {
        users.push(username)
        done(null, { user: username })
      },
    })
    const { delivery, letter, notice, told } = postman(sink.url.replace('//', '//vault:secret@'))
    await delivery.deliver(letter(nobody))
    await delivery.notify(notice(nobody))
    expect(users).toEqual(['vault', 'vault'])
    expect(sink.mails).toEqual([])
    expect(told).toEqual([])
  })

  it('needs no AUTH where a mail needs none', async () => {
    const sink = await mailSink()
    const { delivery, letter, told } = postman(sink.url)
    await delivery.deliver(letter(nobody))
    expect(told).toEqual([])
  })

  it('is given up as a mail is, where the server refuses', async () => {
    const sink = await mailSink({ onConnect: (_session, done) => done(smtpError(554, 'No')) })
    const { delivery, letter, told } = postman(sink.url)
    await delivery.deliver(letter(nobody))
    expect(told.join()).toContain('a mail was given up')
  })

  it('is given up at once where the server closes', async () => {
    const { url, connections } = await silentServer()
    const { delivery, letter } = postman(url, { timeoutMs: 20_000 })
    const waiting = delivery.deliver(letter(nobody))
    await expect.poll(() => connections, PATIENCE).toHaveLength(1)
    await delivery.close()
    await waiting
  })

  it('is tried again where the server hangs up', async () => {
    const { url, connections } = await silentServer()
    const { delivery, letter, told } = postman(url, { timeoutMs: 20_000 })
    const waiting = delivery.deliver(letter(nobody))
    await expect.poll(() => connections, PATIENCE).toHaveLength(1)
    connections[0]?.destroy()
    await expect.poll(() => connections, PATIENCE).toHaveLength(2)
    expect(told.join()).toContain('it will be tried again')
    await delivery.close()
    await waiting
  })
})

describe('an address that is more than one plain address', () => {
  it.each([
    'ada@example.org\r\nBcc: eve@evil.org',
    'ada@example.org\nRCPT TO:<eve@evil.org>',
    'ada@example.org, eve@evil.org',
    'ada@example.org;eve@evil.org',
    'ada@example.org eve@evil.org',
    'Ada <eve@evil.org>',
    '<eve@evil.org>',
    '"ada@example.org, eve"@evil.org',
    'ada(comment)@example.org',
    'ada@[192.0.2.7]',
    'team: eve@evil.org;',
    'ada@example.org\0',
    'adä@example.org',
    'ada@ex\u00e4mple.org',
    'ada@example.org@evil.org',
    'ada',
    '@evil.org',
    '',
    `${'a'.repeat(65)}@example.org`,
  ])('is refused, and nothing is sent: %j', async (email) => {
    const sink = await mailSink()
    const { delivery, letter, notice, told } = postman(sink.url)
    const refusals = await Promise.allSettled([delivery.deliver(letter({ email })), delivery.notify(notice({ email }))])
    expect(refusals.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    for (const { reason } of refusals as PromiseRejectedResult[]) {
      expect(reason.message).toBe('a mail was to go to what is not one plain address')
    }
    expect(sink.mails).toEqual([])
    expect(told).toEqual([])
  })

  it.each(["o'hara+tag_x@sub.example-host.co", `${'a'.repeat(64)}@example.org`, '-x@example.org', 'a%b!c@example.org'])(
    'is not %j, which arrives as it is',
    async (email) => {
      const sink = await mailSink()
      const { delivery, letter } = postman(sink.url)
      await delivery.deliver(letter({ email }))
      expect(sink.mails[0]?.to).toEqual([email])
    },
  )
})

describe('the mail server', () => {
  it('is signed in to, with escapes in user and password', async () => {
    const sink = await mailSink({
      authOptional: false,
      allowInsecureAuth: true,
      onAuth: ({ username, password }, _session, done) => done(null, { user: `${username} ${password}` }),
    })
    const { delivery, letter } = postman(sink.url.replace('//', '//ada%40example.org:p%2Fw%25@'))
    await delivery.deliver(letter())
    expect(sink.mails[0]?.user).toBe('ada@example.org p/w%')
  })

  it('that refuses the password is not tried again, and the password is not told', async () => {
    let tries = 0
    const sink = await mailSink({
      authOptional: false,
      allowInsecureAuth: true,
      onAuth: ({ password }, _session, done) => {
        tries += 1
        done(smtpError(535, `${password} is wrong`))
      },
    })
    const { delivery, letter, told } = postman(sink.url.replace('//', '//ada:hunter2@'))
    await delivery.deliver(letter())
    expect(tries).toBe(1)
    expect(told).toEqual([
      'a mail was given up {"requestId":"r1","server":"127.0.0.1","code":"EAUTH","responseCode":535}',
    ])
  })

  it('on this machine may have a certificate that nobody vouches for', async () => {
    const sink = await mailSink({ disabledCommands: [] })
    const { delivery, letter } = postman(sink.url)
    await delivery.deliver(letter())
    expect(sink.mails[0]?.secure).toBe(true)
  })

  // On Linux and macOS 0.0.0.0 leads here, and no rule about loopback knows it.
  it('elsewhere must speak TLS: without it neither password nor mail goes out', async () => {
    const commands: string[] = []
    const sink = await mailSink({
      authMethods: ['PLAIN', 'LOGIN'],
      allowInsecureAuth: true,
      onAuth: (_auth, _session, done) => {
        commands.push('AUTH')
        done(null, { user: 'ada' })
      },
      onMailFrom: (_address, _session, done) => {
        commands.push('MAIL')
        done()
      },
    })
    const { delivery, letter, told } = postman(`smtp://ada:hunter2@0.0.0.0:${sink.port}`)
    await delivery.deliver(letter())
    expect(sink.mails).toEqual([])
    expect(commands).toEqual([])
    expect(told).toEqual([expect.stringMatching(/^a mail was given up .*"server":"0\.0\.0\.0","code":"ETLS"/)])
  })

  it.each(['smtp', 'smtps'])('under %s:// must have a certificate that somebody vouches for', async (scheme) => {
    const sink = await mailSink(scheme === 'smtps' ? { secure: true } : { disabledCommands: [] })
    const { delivery, letter, told, clock } = postman(`${scheme}://0.0.0.0:${sink.port}`, { firstPauseMs: MINUTE })
    await delivery.deliver(letter({ expiresAt: clock() + SECOND }))
    expect(sink.mails).toEqual([])
    expect(told).toEqual([
      'a mail was given up {"requestId":"r1","server":"0.0.0.0","code":"DEPTH_ZERO_SELF_SIGNED_CERT"}',
    ])
  })
})

describe('a mail that is not taken', () => {
  it('is given up where the server refuses it for good, without a word of the address or the PIN', async () => {
    let tries = 0
    const sink = await mailSink({
      onRcptTo: ({ address }, _session, done) => {
        tries += 1
        done(smtpError(550, `<${address}> does not live here`))
      },
    })
    const { delivery, letter, told } = postman(sink.url)
    await delivery.deliver(letter())
    expect(tries).toBe(1)
    expect(told).toEqual([
      'a mail was given up {"requestId":"r1","server":"127.0.0.1","code":"EENVELOPE","responseCode":550}',
    ])
  })

  it('is tried again under the same id where the server asks for patience', async () => {
    let tries = 0
    const ids = new Set<string | undefined>()
    const sink = await mailSink({
      async onData(stream, _session, done) {
        let raw = ''
        for await (const chunk of stream) raw += chunk
        ids.add(/^Message-ID: (.*)$/im.exec(raw)?.[1])
        tries += 1
        done(tries < 3 ? smtpError(451, 'ada@example.org: later') : null)
      },
    })
    const { delivery, letter, told } = postman(sink.url)
    await delivery.deliver(letter())
    expect(tries).toBe(3)
    expect([...ids]).toEqual([expect.stringMatching(/@example\.org>/)])
    expect(told).toEqual([
      'a mail was not taken yet; it will be tried again {"requestId":"r1","server":"127.0.0.1","code":"EMESSAGE","responseCode":451}',
    ])
  })

  it('arrives once a server that was down is up', async () => {
    const { port, close } = await mailSink()
    await close()
    const { delivery, letter, told } = postman(`smtp://127.0.0.1:${port}`)
    const delivered = delivery.deliver(letter())
    await expect.poll(() => told, PATIENCE).toHaveLength(1)
    const sink = await mailSink({}, port)
    await delivered
    expect(sink.mails).toHaveLength(1)
    expect(told[0]).toContain('"code":"ECONNREFUSED"')
  })

  it('is tried no longer than its PIN lives', async () => {
    const { url } = await silentServer()
    const { delivery, letter, told, clock } = postman(url, { timeoutMs: 20 })
    const delivered = delivery.deliver(letter())
    await expect.poll(() => told, PATIENCE).toHaveLength(1)
    clock.turn(5 * MINUTE)
    await delivered
    expect(told).toEqual([
      expect.stringMatching(/^a mail was not taken yet.*"code":"ETIMEDOUT"/),
      expect.stringMatching(/^a mail was given up/),
    ])
  })

  it('is tried for ten minutes where it is a notice', async () => {
    const { url } = await silentServer()
    const { delivery, notice, told, clock } = postman(url, { timeoutMs: 20 })
    const delivered = delivery.notify(notice())
    clock.turn(10 * MINUTE - SECOND)
    await expect.poll(() => told, PATIENCE).toHaveLength(1)
    clock.turn(SECOND)
    await delivered
    expect(told).toHaveLength(2)
  })

  it('does not go out once its PIN has ended while it waited for its turn', async () => {
    const { url, connections } = await silentServer()
    const { delivery, letter, told, clock } = postman(url, { atOnce: 1, timeoutMs: MINUTE })
    const delivered = [delivery.deliver(letter()), delivery.deliver(letter({ requestId: 'second' }))]
    await expect.poll(() => connections, PATIENCE).toHaveLength(1)
    clock.turn(5 * MINUTE)
    connections[0]?.destroy()
    await Promise.all(delivered)
    expect(told[1]).toBe('a mail was given up {"requestId":"second","server":"127.0.0.1","code":"EXPIRED"}')
    expect(connections).toHaveLength(1)
  })
})

describe('many mails', () => {
  it('share a few connections', async () => {
    const { url, connections } = await silentServer()
    const { delivery, letter } = postman(url, { atOnce: 2, timeoutMs: MINUTE })
    const delivered = Array.from({ length: 9 }, () => delivery.deliver(letter()))
    await expect.poll(() => connections, PATIENCE).toHaveLength(2)
    await delivery.close()
    await Promise.all(delivered)
    expect(connections).toHaveLength(2)
  })

  it('all arrive', async () => {
    const sink = await mailSink()
    const { delivery, letter } = postman(sink.url)
    const secrets = Array.from({ length: 20 }, (_, n) => String(n).padStart(4, '0'))
    await Promise.all(secrets.map((secret) => delivery.deliver(letter({ secret }))))
    expect(sink.mails.map(pinIn).sort()).toEqual(secrets)
  })

  it('are refused where too many wait, the newest of them and with one line, until there is room again', async () => {
    const { url } = await silentServer()
    const { delivery, letter, told, clock } = postman(url, { held: 2, timeoutMs: 100 })
    const first = [delivery.deliver(letter()), delivery.deliver(letter())]
    await delivery.deliver(letter())
    await delivery.deliver(letter())
    expect(told).toEqual(['too many mails wait for the mail server: new ones are refused {"mails":2}'])
    clock.turn(5 * MINUTE)
    await Promise.all(first)
    told.length = 0
    const later = Array.from({ length: 3 }, () => delivery.deliver(letter()))
    expect(told).toHaveLength(1)
    await delivery.close()
    await Promise.all(later)
  })
})

it('many mails that wait are no leak, and nobody is warned of one', async () => {
  const warnings: string[] = []
  const warned = ({ name }: Error) => void warnings.push(name)
  process.on('warning', warned)
  onTestFinished(() => void process.off('warning', warned))
  const { delivery, letter, told } = postman('smtp://127.0.0.1:1', { firstPauseMs: MINUTE })
  const waiting = Array.from({ length: 20 }, () => delivery.deliver(letter()))
  await expect.poll(() => told, PATIENCE).toHaveLength(20)
  await delivery.close()
  await Promise.all(waiting)
  expect(warnings).toEqual([])
})

describe('the end', () => {
  it('comes at once, whatever a silent server, a pause or a turn is waited for', async () => {
    const silent = await silentServer()
    const stuck = postman(silent.url, { timeoutMs: MINUTE, atOnce: 1 })
    const waiting = [stuck.delivery.deliver(stuck.letter()), stuck.delivery.notify(stuck.notice())]
    const down = postman('smtp://127.0.0.1:1', { firstPauseMs: MINUTE })
    waiting.push(down.delivery.deliver(down.letter()))
    await expect.poll(() => [silent.connections.length, down.told.length], PATIENCE).toEqual([1, 1])
    await Promise.all([stuck.delivery.close(), down.delivery.close(), ...waiting])
    expect(stuck.told).toEqual(['mails were given up because the server closes {"mails":2}'])
    await stuck.delivery.deliver(stuck.letter())
    expect(silent.connections).toHaveLength(1)
  })

  it('is silent where nothing waits', async () => {
    const sink = await mailSink()
    const { delivery, letter, told } = postman(sink.url)
    await delivery.deliver(letter())
    await delivery.close()
    expect(told).toEqual([])
  })
})

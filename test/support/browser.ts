/** An installed Chromium, without a window. */
import { access } from 'node:fs/promises'
import { type Browser, chromium } from 'playwright-core'

const CHROMIUM = process.env.CHROMIUM_PATH || '/usr/bin/chromium'

const QUIET = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** `more` are further arguments of Chromium, `without` some that it does not get. */
export async function launch(more: string[] = [], without: string[] = []): Promise<Browser> {
  await access(CHROMIUM).catch(() => {
    throw new Error(
      `There is no Chromium at ${CHROMIUM}. Install it (apt-get install chromium), or set CHROMIUM_PATH to where it is.`,
    )
  })
  return chromium.launch({ executablePath: CHROMIUM, args: [...QUIET, ...more], ignoreDefaultArgs: without })
}

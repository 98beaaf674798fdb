/** What this device is called in the list of devices. The page guesses it, and the user can change it. */
import { t } from '../words/words.ts'

/** The first that is in the User-Agent counts: Edge names Chrome too, and Chrome names Safari. */
const BROWSERS: [RegExp, string][] = [
  [/\bEdg(?:e|A|iOS)?\//, 'Edge'],
  [/\bOPR\/|\bOpera\b/, 'Opera'],
  [/\bSamsungBrowser\//, 'Samsung Internet'],
  [/\bVivaldi\//, 'Vivaldi'],
  [/\b(?:Firefox|FxiOS)\//, 'Firefox'],
  [/\bHeadlessChrome\/|\b(?:Chrome|CriOS)\//, 'Chrome'],
  [/\bSafari\//, 'Safari'],
]

const SYSTEMS: [RegExp, string][] = [
  [/\biPhone\b/, 'iPhone'],
  [/\biPad\b/, 'iPad'],
  [/\bAndroid\b/, 'Android'],
  [/\bWindows\b/, 'Windows'],
  [/\bCrOS\b/, 'ChromeOS'],
  [/\bMac OS X\b|\bMacintosh\b/, 'Mac'],
  [/\bLinux\b/, 'Linux'],
]

const nameIn = (names: [RegExp, string][], userAgent: string) => names.find(([pattern]) => pattern.test(userAgent))?.[1]

/** "Chrome on Android"; `null` if the User-Agent is not one of a browser. */
export function nameOfUserAgent(userAgent: string): string | null {
  const [browser, system] = [nameIn(BROWSERS, userAgent), nameIn(SYSTEMS, userAgent)]
  if (browser && system) return t.value.signIn.browserOn(browser, system)
  return browser ?? system ?? null
}

const NAME_KEY = 'device-name'

/** The name that the user gave at the last sign-in, or a guess. */
export function deviceName(): string {
  const { userAgent, maxTouchPoints } = navigator
  // An iPad says that it is a Mac, but no Mac has a touch screen.
  const honest = maxTouchPoints > 1 ? userAgent.replace('Macintosh', 'iPad').replace('Mac OS X', '') : userAgent
  return localStorage.getItem(NAME_KEY) ?? nameOfUserAgent(honest) ?? t.value.signIn.someBrowser
}

export function keepDeviceName(name: string): void {
  localStorage.setItem(NAME_KEY, name)
}

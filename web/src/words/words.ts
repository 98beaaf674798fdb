/** The words in the language of the user. English is a part of the page; another language is loaded when it is wanted. */
import { signal } from '@preact/signals'
import { words as english, type Words } from './en.ts'

const others = import.meta.glob<{ words: Words }>(['./*.ts', '!./{en,formats,words}.ts'])
const LANGUAGE_KEY = 'language'

/** BCP 47 codes of the languages that are there. */
export const languages = ['en', ...Object.keys(others).map((path) => path.slice(2, -3))]

export const language = signal('en')
/** `t.value.signIn.title`: components that read it are drawn again when the language changes. */
export const t = signal<Words>(english)

/** Loads the chosen language, or the first of the browser's that is there. */
export async function loadWords(): Promise<void> {
  const wanted = [localStorage.getItem(LANGUAGE_KEY) ?? [], navigator.languages.map((tag) => tag.split('-')[0] ?? '')]
  await show(wanted.flat().find((code) => languages.includes(code)) ?? 'en')
}

/** Changes the language, and remembers it. */
export async function chooseLanguage(code: string): Promise<void> {
  localStorage.setItem(LANGUAGE_KEY, code)
  await show(code)
}

async function show(code: string): Promise<void> {
  const load = others[`./${code}.ts`]
  t.value = load ? (await load()).words : english
  language.value = load ? code : 'en'
  document.documentElement.lang = language.value
}

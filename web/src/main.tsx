import './styles/tokens.css'
import './styles/base.css'
import { render } from 'preact'
import { App } from './app.tsx'
import { later } from './later.ts'
import { begin } from './state/session.ts'
import { loadWords } from './words/words.ts'

await loadWords()
const root = document.getElementById('app')
if (root) render(<App />, root)
void begin()
void later()

import { chooseLanguage, language, languages, t } from '../../words/words.ts'

/** Each language is called what its speakers call it. */
export function LanguageChoice() {
  return (
    <label class="select">
      <span>{t.value.account.language}</span>
      <select value={language.value} onChange={({ currentTarget }) => void chooseLanguage(currentTarget.value)}>
        {languages.map((code) => (
          <option key={code} value={code} lang={code}>
            {new Intl.DisplayNames([code], { type: 'language' }).of(code)}
          </option>
        ))}
      </select>
    </label>
  )
}

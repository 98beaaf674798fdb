import type { StoredFile } from '@minikeepsafe/client'
import { Download, ImageOff } from 'lucide'
import { render } from 'preact'
import { Button } from '../parts/button.tsx'
import { Icon } from '../parts/icon.tsx'
import { mayOpen } from '../pictures/openable.ts'
import { client } from '../state/session.ts'
import { t } from '../words/words.ts'

interface Props {
  file: StoredFile
  retry: (() => void) | undefined
}

/** In place of a file that this browser cannot show: its thumbnail or an icon, the reason, and a way to save it. */
export function unshowable(file: StoredFile, retry?: () => void): HTMLDivElement {
  const element = document.createElement('div')
  element.className = 'viewer-unshowable'
  render(<Unshowable file={file} retry={retry} />, element)
  return element
}

function Unshowable({ file: { name, thumbnail, contentType }, retry }: Props) {
  const words = t.value
  // A type that other browsers do not open is not worth another try.
  const mayHelp = mayOpen(contentType) ? retry : undefined
  return (
    <div>
      {thumbnail === null ? (
        <Icon node={ImageOff} size={56} />
      ) : (
        <img src={client.urls.thumbnail(name, thumbnail)} alt={name} />
      )}
      <p>{mayHelp ? words.viewer.notLoaded : words.viewer.cannotShow}</p>
      <div class="viewer-ways">
        {mayHelp && <Button onClick={mayHelp}>{words.common.retry}</Button>}
        <a class="button main" href={client.urls.file(name)} download={name}>
          <Icon node={Download} />
          <span>{words.viewer.download}</span>
        </a>
      </div>
    </div>
  )
}

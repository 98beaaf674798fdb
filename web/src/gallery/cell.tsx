import './cell.css'
import type { StoredFile } from '@minikeepsafe/client'
import { FileText, Film, type IconNode, Image, Music2, Play } from 'lucide'
import { Component } from 'preact'
import { Icon } from '../parts/icon.tsx'
import { wantThumbnail } from '../pictures/backfill.ts'
import { type Kind, kindOf } from '../state/files.ts'
import { client } from '../state/session.ts'
import { t } from '../words/words.ts'
import { isRushing } from './canvas.ts'
import { isShown } from './neighbours.ts'

interface Props {
  file: StoredFile
  x: number
  y: number
  size: number
  isPicked: boolean
  isPicking: boolean
  /** The one cell that the Tab key reaches. */
  isCurrent: boolean
}

const ICONS: Record<Kind, IconNode> = { picture: Image, video: Film, audio: Music2, other: FileText }

/** A finger selects by a long press. */
const hasHover = matchMedia('(hover: hover)').matches

/** A file in the grid. Signals draw a component again only if one of its properties changes, as long as it has no state. */
export class Cell extends Component<Props> {
  private isBroken = false
  /** Set when the picture is requested: it stays then. */
  private isAsked = false

  override componentDidMount(): void {
    const { file } = this.props
    if (file.thumbnail === null && ['picture', 'video'].includes(kindOf(file))) wantThumbnail(file)
  }

  render({ file, x, y, size, isPicked, isPicking, isCurrent }: Props) {
    const words = t.value.gallery
    const kind = kindOf(file)
    const shared = {
      class: 'open',
      tabIndex: isCurrent ? 0 : -1,
      'aria-pressed': isPicking ? isPicked : undefined,
      title: file.name,
    }
    const content = (
      <>
        {this.picture(kind)}
        {kind === 'video' && (
          <>
            <span class="unseen">{words.video}</span>
            <span class="mark">
              <Icon node={Play} size={14} />
            </span>
          </>
        )}
      </>
    )
    return (
      <div
        class={isPicked ? 'cell is-picked' : 'cell'}
        style={{ left: `${x}px`, top: `${y}px`, width: `${size}px`, height: `${size}px` }}
        data-id={file.id}
      >
        {isShown(file) || isPicking ? (
          <button type="button" {...shared}>
            {content}
          </button>
        ) : (
          <a href={client.urls.file(file.name)} download={file.name} {...shared}>
            {content}
          </a>
        )}
        {(hasHover || isPicking) && (
          <button
            type="button"
            class="pick"
            tabIndex={-1}
            aria-label={words.select(file.name)}
            aria-pressed={isPicked}
          />
        )}
      </div>
    )
  }

  private picture(kind: Kind) {
    const { name, thumbnail } = this.props.file
    if (thumbnail !== null && !this.isBroken) {
      // Reading the signal draws the cell again when the rush is over.
      this.isAsked = this.isAsked || !isRushing.value
      if (!this.isAsked) return <span class="unseen">{name}</span>
      return (
        <img
          loading="lazy"
          decoding="async"
          draggable={false}
          src={client.urls.thumbnail(name, thumbnail)}
          alt={name}
          onError={() => {
            this.isBroken = true
            this.forceUpdate()
          }}
        />
      )
    }
    return (
      <span class="plain">
        <Icon node={ICONS[kind]} size={28} />
        <span>{name}</span>
      </span>
    )
  }
}

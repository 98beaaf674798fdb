import type { Account } from '@minikeepsafe/client'
import { formatBytes, formatNumber } from '../../words/formats.ts'
import { t } from '../../words/words.ts'

const NEARLY = 0.9

/** How much is stored, as a bar where there is a quota. */
export function Usage({ account: { usage, quota } }: { account: Account }) {
  const words = t.value.account
  const used = formatBytes(usage.bytes)
  const text = quota.bytes === null ? words.usedUnlimited(used) : words.used(used, formatBytes(quota.bytes))
  const share = quota.bytes === null ? null : Math.min(1, usage.bytes / Math.max(1, quota.bytes))
  return (
    <div class="usage">
      {share !== null && (
        <>
          <meter class="unseen" value={share} aria-label={words.storage} aria-valuetext={text} />
          {/* Browsers differ in which parts of a meter can be styled. */}
          <div class={share > NEARLY ? 'bar is-nearly-full' : 'bar'} aria-hidden="true">
            <div style={{ width: `${share * 100}%` }} />
          </div>
        </>
      )}
      <p>{text}</p>
      <p class="soft small">{words.contents(usage.files, formatNumber(usage.files), formatNumber(usage.trashFiles))}</p>
    </div>
  )
}

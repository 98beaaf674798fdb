/** The vault: all its rules over one set of ports. */
import type { Ports, VaultRules } from '../ports/ports.ts'
import { problems } from '../problems.ts'
import { type Accounts, openAccounts } from './accounts/account.ts'
import { type Activity, openActivity } from './accounts/activity.ts'
import { openAside } from './aside.ts'
import { openBackgroundWork } from './background.ts'
import { openKeyring } from './crypto/keyring.ts'
import type { Observe } from './events.ts'
import { type Figures, openFigures } from './figures.ts'
import { changedNothing, openAdmission } from './files/admission.ts'
import { type ChangeFeed, openChangeFeed } from './files/change-feed.ts'
import { openDoubtfulBlobs } from './files/doubtful-blobs.ts'
import { type Exports, openExports } from './files/export.ts'
import { type Files, openFiles } from './files/files.ts'
import { openGarbageCollector } from './files/garbage.ts'
import { type Lookup, openLookup } from './files/lookup.ts'
import { openPlacing } from './files/placing.ts'
import { openReadBacks } from './files/read-backs.ts'
import { openScrubber } from './files/scrubber.ts'
import { openUnsealing } from './files/stored-file.ts'
import { openSweeper } from './files/sweeper.ts'
import { openThumbnails, type Thumbnails } from './files/thumbnails.ts'
import { openTimeline, type Timeline } from './files/timeline.ts'
import { openTrash, type Trash } from './files/trash.ts'
import { openUnrecorded } from './files/unrecorded.ts'
import { type Enrolment, openEnrolment } from './sign-in/enrolment.ts'
import { openNotices } from './sign-in/notices.ts'
import { openSessions, type Sessions } from './sign-in/sessions.ts'
import { openSignIn, type SignIn } from './sign-in/sign-in.ts'
import { openSlots } from './slots.ts'
import { openTurns } from './turns.ts'
import { expireUploadsOf, openUploads, type Uploads } from './uploads/uploads.ts'

export interface Vault {
  rules: VaultRules
  enrolment: Enrolment
  sessions: Sessions & SignIn
  activity: Activity
  files: Files
  timeline: Timeline
  lookup: Lookup
  trash: Trash
  thumbnails: Thumbnails
  uploads: Uploads
  changes: Pick<ChangeFeed, 'read' | 'wait'>
  account: Accounts
  exports: Exports
  figures: Figures
  /** From now on this function is called for each event. There is one observer at a time. */
  observe(observer: Observe): void
  /** Starts one round of sweeping, after the rounds that were started before. An error is logged. */
  sweep(): void
  /** Reads back what is due now. An error is logged. */
  scrub(): Promise<void>
  /** Records when files were read back. Until then this is only in memory. */
  recordReadBacks(): Promise<void>
  /** Throws `not-ready`, with the names of the engines that do not work. */
  ready(): Promise<void>
  /**
   * A request of this user came from this network. Long work of all users of one network shares its turns. Call the result when the
   * request is over.
   */
  comesFrom(owner: string, network: string): () => void
  /** Resolves when the next half MiB may be sent to this user, as `Turns.next` says. */
  sendingTurn(owner: string): Promise<void>
  /** Long work pauses for an iteration of the event loop, as `Turns.skip` says. */
  skipTurn(): void
  /** From now on the vault is not ready. Running requests go on. */
  drain(): void
  /** Waits for work in the background. Only tests need it: they look at what a response leaves behind. */
  settled(): Promise<void>
  /** Finishes work in the background, except what a later start can finish, and closes every engine. */
  close(): Promise<void>
}

/** Half MiB of downloads that an iteration of the event loop opens and sends. Each takes less than a millisecond. */
const SENT_AT_ONCE = 8

/** Pieces of uploads that an iteration seals: of 256 KiB if many uploads run. Each takes less than a millisecond. */
const RECEIVED_AT_ONCE = 4
/** Uploads of one network that a disk stores at a time. With fewer, a commit has fewer of them. */
const STORED_AT_ONCE = 32
/** The blobs of downloads that are opened in one iteration of the event loop, where opening is expensive: a request to S3 takes 0.8 ms. */
const OPENED_AT_ONCE = 4

/** Opens the vault for one run of this process. Throws if slots are sealed under a master key that is not given. */
export async function openVault(given: Ports, rules: VaultRules): Promise<Vault> {
  let observer: Observe = () => {}
  const observe: Observe = (event) => observer(event)
  const ports: Ports = {
    ...given,
    alarm(error, doing) {
      observe({ kind: 'failure', work: doing })
      given.alarm(error, doing)
    },
  }
  const keys = openKeyring({ ports })
  await keys.check()
  const work = openBackgroundWork({ ports })
  let draining = false
  // Unknown users share turns, too. Otherwise many accounts would have many turns.
  const networkOf = (owner: string) => ports.networks.of(owner) ?? ''
  const turns = openTurns(1, networkOf)
  const sendingTurns = openTurns(SENT_AT_ONCE, networkOf)
  const receivingTurns = openTurns(RECEIVED_AT_ONCE, networkOf)
  const storingSlots = openSlots(STORED_AT_ONCE, networkOf)
  const openingTurns = openTurns(OPENED_AT_ONCE, networkOf)
  const admission = openAdmission({ ports, keys })
  if (!rules.readOnly) await begin()

  const shared = {
    ports,
    rules,
    keys,
    admission,
    background: work.run,
    turns,
    receivingTurns,
    storingSlots,
    openingTurns,
    repeat: work.repeat,
    observe,
    doubtfulBlobs: openDoubtfulBlobs({ ports }),
    unrecorded: openUnrecorded(rules),
    collect: openGarbageCollector({ ports, turns }),
    unsealPage: openUnsealing({ turns }),
  }
  const readBacks = openReadBacks(shared)
  const activity = openActivity(shared)
  const notices = openNotices(shared)
  const aside = openAside(shared)
  const sessions = openSessions({ ...shared, activity })
  const signIn = openSignIn({ ...shared, aside, activity, notices })
  const deleted = openTrash({ ...shared, activity })
  const trash: Trash = {
    ...deleted,
    // Both count for the quota. A refused upload has to make room once.
    async expireOf(owner) {
      const some = await deleted.expireOf(owner)
      return (await expireUploadsOf(shared, owner)) || some
    },
  }
  const accounts = openAccounts({ ...shared, trash })
  const placing = openPlacing({ ...shared, trash })
  const files = openFiles({ ...shared, activity, placing, trash, readBacks })
  const uploads = openUploads({ ...shared, placing, trash, add: files.add })
  const changeFeed = openChangeFeed(shared)
  const scrubber = openScrubber({ ...shared, activity, readBacks })
  const sweeper = openSweeper({ ...shared, sessions, trash, uploads, accounts, activity })

  let sweeping = Promise.resolve()

  return {
    rules,
    enrolment: openEnrolment({ ...shared, aside, activity }),
    sessions: {
      ...sessions,
      ...signIn,
      end: announced(sessions.end, (owner) => owner),
      endOthers: announced(sessions.endOthers, ({ userId }) => userId),
    },
    activity,
    files,
    timeline: openTimeline(shared),
    lookup: openLookup({ ...shared, activity, readBacks }),
    trash: { ...trash, restore: announced(trash.restore, (owner) => owner) },
    thumbnails: openThumbnails({ ...shared, placing, trash }),
    uploads,
    changes: changeFeed,
    account: { ...accounts, remove: announced(accounts.remove, (owner) => owner) },
    exports: openExports({ ...shared, activity, readBacks }),
    figures: openFigures(shared),

    observe(next) {
      observer = next
    },

    sweep() {
      if (rules.readOnly) return
      sweeping = sweeping.then(async () => {
        const startedAt = ports.clock()
        const done = await sweeper.sweep(admission.run())
        const at = ports.clock()
        if (done) observe({ kind: 'swept', at, ms: at - startedAt })
      })
      work.run('sweeping', sweeping)
    },

    scrub: scrubber.scrub,
    recordReadBacks: readBacks.record,

    async ready() {
      const outcomes = await Promise.all(
        Object.entries(ports.checks).map(([name, check]) =>
          check().then(
            () => [],
            (error: unknown) => {
              ports.alarm(error, `checking ${name}`)
              return [name]
            },
          ),
        ),
      )
      const down = [...outcomes.flat(), ...(draining ? ['the server is closing'] : [])]
      if (down.length > 0) throw problems.notReady(`Not working: ${down.join(', ')}.`)
    },

    comesFrom: ports.networks.begin,
    sendingTurn: sendingTurns.next,

    skipTurn() {
      turns.skip()
      sendingTurns.skip()
      receivingTurns.skip()
      openingTurns.skip()
    },

    drain() {
      draining = true
      changeFeed.stopWaiting()
    },

    settled: work.settled,

    async close() {
      aside.hurry()
      await ports.stopWaiting()
      await scrubber.stop()
      await work.end()
      await readBacks.record()
      await ports.close()
    },
  }

  /** After the change, clients that wait for changes of the owner look again: at the files, and at their own session. */
  function announced<Args extends unknown[], Answer>(
    change: (...args: Args) => Promise<Answer>,
    ownerOf: (...args: Args) => string,
  ): (...args: Args) => Promise<Answer> {
    return async (...args) => {
      const answer = await change(...args)
      ports.changeNotices.publish(ownerOf(...args))
      return answer
    }
  }

  /**
   * On a full disk no run can be opened yet. Reads and deletes work, and the first upload that is accepted opens the
   * run. Former runs end now, not in the first sweep, because the master keys of a former run no longer matter.
   */
  async function begin(): Promise<void> {
    try {
      await admission.admit()
      await ports.ledger.endedRuns(admission.run())
    } catch (error) {
      if (!changedNothing(error)) throw error
      ports.alarm(error, 'getting ready for uploads')
    }
  }
}

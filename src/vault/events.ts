/** Events of the vault for metrics. They name no user, device, file or address. */

export type VaultEvent =
  /**
   * A PIN was issued, or entered. `right`: it opened a session. `wrong`: it did not, though the device has a pending PIN.
   * `none`: the device has no pending PIN. `paused`: this wrong PIN has also paused the PINs of an address.
   */
  | { kind: 'pin'; event: PinEvent }
  /** A read for a user found stored data damaged, or the scrubber did. */
  | { kind: 'damage'; found: DamageFinder }
  /** The scrubber read a file of this size back. */
  | { kind: 'read-back'; outcome: 'opened' | 'damaged' | 'gone'; sizeBytes: number }
  /** This process has done a round of sweeping. */
  | { kind: 'swept'; at: number; ms: number }
  /** Work in the background failed, and the error is logged. `work` is one of a fixed set of texts. */
  | { kind: 'failure'; work: string }

export type PinEvent = 'issued' | 'right' | 'wrong' | 'none' | 'paused'
export type DamageFinder = 'request' | 'scrubber'

/** Is called for each event, at once. It must not throw. */
export type Observe = (event: VaultEvent) => void

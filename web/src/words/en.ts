/**
 * The words of the page. A language is one file of this shape: copy this one to `xx.ts`, translate, and it is offered to browsers
 * that ask for it. Each section belongs to one screen.
 */
export const words = {
  languageName: 'English',
  common: {
    appName: 'minikeepsafe',
    close: 'Close',
    cancel: 'Cancel',
    retry: 'Try again',
    loading: 'Loading…',
    offline: 'You are offline. The vault is shown again when the connection is back.',
    signedOut: 'You are signed out.',
    failed: (detail: string) => `That did not work. ${detail}`,
    notReachable: 'The server cannot be reached.',
    tryAgainIn: (seconds: number) =>
      `Try again in ${seconds < 90 ? `${seconds} seconds` : `${Math.ceil(seconds / 60)} minutes`}.`,
    navigation: 'Main',
    photos: 'Photos',
    trash: 'Trash',
    devices: 'Devices',
    activity: 'Activity',
    account: 'Account',
  },
  signIn: {
    title: 'Open your vault',
    name: 'Name',
    email: 'E-mail address',
    getPin: 'Get a PIN',
    pin: 'PIN',
    signIn: 'Sign in',
    deviceName: 'Name of this device',
  },
  gallery: {
    empty: 'Nothing is here yet. Add your first photo.',
  },
  viewer: {},
  uploads: {
    add: 'Add files',
  },
  devices: {},
  activity: {},
  account: {
    signOut: 'Sign out',
  },
  trash: {},
  lock: {},
}

export type Words = typeof words

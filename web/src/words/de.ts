import type { Words } from './en.ts'

export const words: Words = {
  languageName: 'Deutsch',
  common: {
    appName: 'minikeepsafe',
    close: 'Schließen',
    cancel: 'Abbrechen',
    retry: 'Noch einmal versuchen',
    loading: 'Wird geladen …',
    offline: 'Keine Verbindung. Der Tresor wird wieder angezeigt, sobald sie da ist.',
    signedOut: 'Sie sind abgemeldet.',
    failed: (detail) => `Das hat nicht geklappt. ${detail}`,
    notReachable: 'Der Server ist nicht erreichbar.',
    tryAgainIn: (seconds) =>
      `Versuchen Sie es in ${seconds < 90 ? `${seconds} Sekunden` : `${Math.ceil(seconds / 60)} Minuten`} noch einmal.`,
    navigation: 'Hauptmenü',
    photos: 'Fotos',
    trash: 'Papierkorb',
    devices: 'Geräte',
    activity: 'Verlauf',
    account: 'Konto',
  },
  signIn: {
    title: 'Tresor öffnen',
    name: 'Name',
    email: 'E-Mail-Adresse',
    getPin: 'PIN anfordern',
    pin: 'PIN',
    signIn: 'Anmelden',
    deviceName: 'Name dieses Geräts',
  },
  gallery: {
    empty: 'Noch ist nichts da. Fügen Sie Ihr erstes Foto hinzu.',
  },
  viewer: {},
  uploads: {
    add: 'Dateien hinzufügen',
  },
  devices: {},
  activity: {},
  account: {
    signOut: 'Abmelden',
  },
  trash: {},
  lock: {},
}

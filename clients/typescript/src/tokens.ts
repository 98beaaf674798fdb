/** Keeps the token of the session. On a phone use the keychain, on a page nothing that other pages can read. */
export interface TokenStore {
  get(): string | null | Promise<string | null>
  /** `null`: the session is over. */
  set(token: string | null): void | Promise<void>
}

/** Keeps the token until the program ends. */
export function memoryToken(token: string | null = null): TokenStore {
  return {
    get: () => token,
    set(given) {
      token = given
    },
  }
}

/** The service worker: caches the page's own files, and never anything of the vault. */
export {}

/** Begins to upload files, in the background. */
export function addFiles(_files: File[]): void {}

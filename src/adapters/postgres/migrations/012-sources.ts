/** A form that came as an upload is freed in the transaction that stores its file: `commit_file` has more parameters. */
export const sources = `
DROP FUNCTION IF EXISTS commit_file;
`

/** The page at `/` if there is no web vault. Its policy allows no inline style, so it has none. */

/** With `WEB=off`. */
export const disabledPage = page('This server has no page for browsers.')

/** The build made none, or was not run. */
export const missingPage = page('Its page for browsers was not built: <code>npm run build</code> does it.')

function page(reason: string): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>minikeepsafe</title>
<h1>minikeepsafe</h1>
<p>A private vault for photos and other files, for apps that speak HTTP. ${reason}</p>
<p><a href="/docs">The documentation of the API</a></p>
</html>
`
}

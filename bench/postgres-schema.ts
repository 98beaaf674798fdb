import pg from 'pg'

/** Creates an empty schema, and returns its address. */
export async function postgresSchema(server: string): Promise<{ url: string; drop(): Promise<void> }> {
  const schema = `bench_${process.pid}_${Date.now()}`
  await ask(`CREATE SCHEMA ${schema}`)
  const url = new URL(server)
  url.searchParams.set('options', `-c search_path=${schema}`)
  return { url: url.href, drop: () => ask(`DROP SCHEMA ${schema} CASCADE`) }

  async function ask(text: string) {
    const client = new pg.Client({ connectionString: server })
    await client.connect()
    await client.query(text)
    await client.end()
  }
}

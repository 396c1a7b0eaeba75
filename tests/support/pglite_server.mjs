// SPDX-License-Identifier: MIT
// PostgreSQL with pgvector in WebAssembly, behind a socket on loopback: node pglite_server.mjs PORT.
// "ready" on standard output when it takes connections. It is one session, whoever is connected:
// transactions of several connections wait for one another.
import { PGlite } from '@electric-sql/pglite'
import { vector } from '@electric-sql/pglite-pgvector'
import { PGLiteSocketServer } from '@electric-sql/pglite-socket'

const database = await PGlite.create({ extensions: { vector } })
const server = new PGLiteSocketServer({
  db: database, port: Number(process.argv[2]), host: '127.0.0.1', maxConnections: 50
})
await server.start()
console.log('ready')
process.on('SIGTERM', () => process.exit(0))

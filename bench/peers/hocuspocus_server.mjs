// Hocuspocus with nothing added: no database, no extension. Prints its port; ends when its input ends.
import { Server } from '@hocuspocus/server';
const server = new Server({ address: '127.0.0.1', port: 0, quiet: true, stopOnSignals: false });
await server.listen();
console.log(`listening on http://127.0.0.1:${server.address.port}`);
process.stdin.on('end', () => process.exit(0)).resume();

// The server of y-websocket (version 2, the last whose package has one), as its own bin/server.cjs sets it up. Prints its port; ends
// when its input ends.
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { WebSocketServer } from 'ws';
const { setupWSConnection } = createRequire(import.meta.url)('y-websocket/bin/utils');
const http = createServer((_, response) => response.end());
const sockets = new WebSocketServer({ noServer: true });
sockets.on('connection', setupWSConnection);
http.on('upgrade', (request, socket, head) =>
  sockets.handleUpgrade(request, socket, head, (connection) => sockets.emit('connection', connection, request)));
http.listen(0, '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${http.address().port}`));
process.stdin.on('end', () => process.exit(0)).resume();

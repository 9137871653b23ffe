// A broadcast server on the `ws` package, as its own examples write one. Prints its port; ends when its input ends.
import { WebSocketServer, WebSocket } from 'ws';
const server = new WebSocketServer({ host: '127.0.0.1', port: 0, perMessageDeflate: false }, () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});
server.on('connection', (socket) => {
  socket.on('message', (data) => {
    for (const client of server.clients) if (client.readyState === WebSocket.OPEN) client.send(data, { binary: true });
  });
});
process.stdin.on('end', () => process.exit(0)).resume();

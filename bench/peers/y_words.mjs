// What a client of a Yjs server says, prepared so that the load generator need not speak Yjs: one line of hexadecimal digits for what
// it says to join, then one for each of COUNT edits of a Y.Map of cells, made so long that they travel as some 100 bytes.
//   node y_words.mjs y-websocket|hocuspocus COUNT FILE
import { writeFileSync } from 'node:fs';
import * as Y from 'yjs';
import * as encoding from 'lib0/encoding';
const [peer, count, file] = process.argv.slice(2);
const kDocument = 'bench', kSync = 0, kUpdate = 2, kAuth = 2, kToken = 0;
const named = peer === 'hocuspocus';
function message(write) {
  const encoder = encoding.createEncoder();
  if (named) encoding.writeVarString(encoder, kDocument);
  write(encoder);
  return Buffer.from(encoding.toUint8Array(encoder)).toString('hex');
}
const lines = [named ? message((e) => { encoding.writeVarUint(e, kAuth); encoding.writeVarUint(e, kToken); encoding.writeVarString(e, ''); }) : ''];
const doc = new Y.Doc();
doc.clientID = 1;
doc.on('update', (update) => lines.push(message((e) => {
  encoding.writeVarUint(e, kSync);
  encoding.writeVarUint(e, kUpdate);
  encoding.writeVarUint8Array(e, update);
})));
const cells = doc.getMap('cells');
const padding = 'x'.repeat(named ? 66 : 72);  // the name of the document is in each message of Hocuspocus
for (let i = 0; i < Number(count); ++i) cells.set(`${i % 32},${Math.floor(i / 32) % 32}`, `${1 + i % 40}${padding}`);
writeFileSync(file, lines.join('\n') + '\n');

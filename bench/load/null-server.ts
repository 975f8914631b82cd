// Answers every request at once, without reading it: shows what the generator alone can do.
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';

const body = '{"KeyId":"none"}';
const answer = Buffer.from(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`);

const server = createServer({ noDelay: true }, (socket) => {
  // A generator sends one small request at a time, which arrives in one piece.
  socket.on('data', () => socket.write(answer));
  socket.on('error', () => socket.destroy());
}).listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
process.on('disconnect', () => process.exit());

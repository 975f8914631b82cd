// The prototype's other process: derives a key for each item and seals it. Arguments: the socket's path and the frames' key.
import { createCipheriv, createHmac, createSecretKey, randomBytes } from 'node:crypto';
import { createServer } from 'node:net';
import { SealedFrames } from './prototype-protocol.ts';

const [path = '', keyHex = ''] = process.argv.slice(2);
const frameKey = createSecretKey(Buffer.from(keyHex, 'hex'));
const backingKey = createSecretKey(randomBytes(32));
const label = Buffer.from('\u0000\u0000\u0000\u0001prototype\u0000');

const server = createServer((socket) => {
  const frames = new SealedFrames(socket, frameKey, true, (item) => {
    const seed = randomBytes(16);
    const key = createSecretKey(createHmac('sha256', backingKey).update(label).update(seed).digest());
    const iv = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', key, iv);
    const sealed = cipher.update(item.subarray(4));
    cipher.final();
    frames.send(Buffer.concat([item.subarray(0, 4), seed, iv, sealed, cipher.getAuthTag()]));
  });
}).listen(path, () => process.send?.('ready'));
// Closing the server also removes its socket's file.
process.on('disconnect', () => server.close(() => process.exit()).unref());

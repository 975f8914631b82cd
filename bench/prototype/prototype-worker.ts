// The prototype's other process: derives a key for each item and seals it. Arguments: the socket's path and the frames'
// key.
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { createServer } from 'node:net';
import { DECRYPT, ITEM_HEAD, SealedFrames } from './prototype-protocol.ts';

const [SEED, IV, TAG] = [16, 12, 16];

const [path = '', keyHex = ''] = process.argv.slice(2);
const frameKey = createSecretKey(Buffer.from(keyHex, 'hex'));
const backingKey = createSecretKey(randomBytes(32));
const label = Buffer.from('\u0000\u0000\u0000\u0001prototype\u0000');

function keyOf(seed: Buffer): KeyObject {
  return createSecretKey(createHmac('sha256', backingKey).update(label).update(seed).digest());
}

function encrypt(plaintext: Buffer): Buffer {
  const seed = randomBytes(SEED);
  const iv = randomBytes(IV);
  const cipher = createCipheriv('aes-256-gcm', keyOf(seed), iv);
  const sealed = cipher.update(plaintext);
  cipher.final();
  return Buffer.concat([seed, iv, sealed, cipher.getAuthTag()]);
}

/** Throws, and ends the process, on anything not made here. */
function decrypt(blob: Buffer): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', keyOf(blob.subarray(0, SEED)), blob.subarray(SEED, SEED + IV));
  decipher.setAuthTag(blob.subarray(-TAG));
  const plaintext = decipher.update(blob.subarray(SEED + IV, -TAG));
  return Buffer.concat([plaintext, decipher.final()]);
}

const server = createServer((socket) => {
  const frames = new SealedFrames(socket, frameKey, true, (item) => {
    const input = item.subarray(ITEM_HEAD);
    frames.send(
      Buffer.concat([item.subarray(0, ITEM_HEAD), item[ITEM_HEAD - 1] === DECRYPT ? decrypt(input) : encrypt(input)]),
    );
  });
}).listen(path, () => process.send?.('ready'));
// Closing the server also removes its socket's file.
process.on('disconnect', () => server.close(() => process.exit()).unref());

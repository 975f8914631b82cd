// What the two halves of the prototype share: length-prefixed frames, each AES-256-GCM under a counter nonce, of many
// items.
import { createCipheriv, createDecipheriv, type KeyObject } from 'node:crypto';
import type { Socket } from 'node:net';

/** An item: its number in four bytes, the operation in one, then the input or the output. */
export const ITEM_HEAD = 5;
export const ENCRYPT = 0;
export const DECRYPT = 1;

const TAG = 16;
const PREFIX = 4;

export class SealedFrames {
  readonly #socket: Socket;
  readonly #key: KeyObject;
  readonly #direction: { send: number; receive: number };
  #sent = 0;
  #opened = 0;
  #queue: Buffer[] = [];
  #rest: Buffer = Buffer.alloc(0);

  constructor(socket: Socket, key: KeyObject, isServer: boolean, onItem: (item: Buffer) => void) {
    this.#socket = socket;
    this.#key = key;
    this.#direction = isServer ? { send: 1, receive: 0 } : { send: 0, receive: 1 };
    socket.on('data', (chunk: Buffer) => this.#receive(chunk, onItem));
  }

  /** Everything that is sent within one turn of the event loop travels in one frame. */
  send(item: Buffer): void {
    if (this.#queue.length === 0) setImmediate(() => this.#flush());
    this.#queue.push(item);
  }

  #flush(): void {
    const parts = this.#queue.flatMap((item) => [lengthOf(item), item]);
    this.#queue = [];
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce(this.#direction.send, this.#sent++));
    const sealed = cipher.update(Buffer.concat(parts));
    cipher.final();
    const tag = cipher.getAuthTag();
    const length = Buffer.alloc(PREFIX);
    length.writeUInt32BE(sealed.length + TAG);
    this.#socket.write(Buffer.concat([length, sealed, tag]));
  }

  #receive(chunk: Buffer, onItem: (item: Buffer) => void): void {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    while (this.#rest.length >= PREFIX && this.#rest.length >= PREFIX + this.#rest.readUInt32BE()) {
      const end = PREFIX + this.#rest.readUInt32BE();
      const frame = this.#rest.subarray(PREFIX, end);
      this.#rest = this.#rest.subarray(end);
      const decipher = createDecipheriv('aes-256-gcm', this.#key, nonce(this.#direction.receive, this.#opened++));
      decipher.setAuthTag(frame.subarray(-TAG));
      const items = decipher.update(frame.subarray(0, -TAG));
      decipher.final();
      for (let at = 0; at < items.length;) {
        const length = items.readUInt32BE(at);
        onItem(items.subarray(at + PREFIX, at + PREFIX + length));
        at += PREFIX + length;
      }
    }
  }
}

function lengthOf(item: Buffer): Buffer {
  const length = Buffer.alloc(PREFIX);
  length.writeUInt32BE(item.length);
  return length;
}

function nonce(direction: number, counter: number): Buffer {
  const bytes = Buffer.alloc(12);
  bytes.writeUInt32BE(direction);
  bytes.writeBigUInt64BE(BigInt(counter), 4);
  return bytes;
}

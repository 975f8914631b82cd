import { getRawPointer } from 'node:ffi';

/** More than any of our calls needs. */
const SIZE = 64 * 1024;

export interface Block {
  readonly pointer: bigint;
  /** The current contents. */
  readonly bytes: Buffer;
}

/**
 * The memory that a module reads and writes: one block that never moves. Each use of the token fills it from the front
 * and overwrites it afterwards. All of PKCS#11's structures consist of 8-byte words and pointers.
 */
export class Memory {
  readonly #buffer = Buffer.from(new ArrayBuffer(SIZE));
  readonly #start = getRawPointer(this.#buffer);
  #used = 0;

  /** Throws RangeError if there is no room. */
  take(length: number): Block {
    const offset = this.#used;
    if (offset + length > SIZE) throw new RangeError('more than a token is asked at once');
    this.#used = Math.ceil((offset + length) / 8) * 8;
    return { pointer: this.#start + BigInt(offset), bytes: this.#buffer.subarray(offset, offset + length) };
  }

  put(bytes: Uint8Array): Block {
    const block = this.take(bytes.length);
    block.bytes.set(bytes);
    return block;
  }

  words(...words: readonly (number | bigint)[]): Block {
    const block = this.take(8 * words.length);
    for (const [i, word] of words.entries()) block.bytes.writeBigUInt64LE(BigInt(word), 8 * i);
    return block;
  }

  clear(): void {
    this.#buffer.fill(0, 0, this.#used);
    this.#used = 0;
  }
}

export function wordOf({ bytes }: Block, index = 0): bigint {
  return bytes.readBigUInt64LE(8 * index);
}

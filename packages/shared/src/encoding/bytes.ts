/** The bytes are not a canonical encoding. It never says what differs: callers turn it into their own error. */
export class FormatError extends Error {
  override name = 'FormatError';
}

/** Appends to one growing buffer, so that the hot path encodes without an array of parts. */
export class Writer {
  #buffer: Buffer;
  #length = 0;

  /** `capacity`: a likely size in bytes; the buffer grows if needed. */
  constructor(capacity = 256) {
    this.#buffer = Buffer.allocUnsafe(capacity);
  }

  raw(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#buffer.set(value, this.#length);
    this.#length += value.length;
  }
  bytes(value: Uint8Array): void {
    this.u32(value.length);
    this.raw(value);
  }
  text(value: string): void {
    // A lone surrogate would be encoded as U+FFFD, so two different strings would have the same bytes.
    if (!value.isWellFormed()) throw new FormatError('text is not well-formed Unicode');
    const length = Buffer.byteLength(value, 'utf8');
    this.u32(length);
    this.#reserve(length);
    this.#buffer.write(value, this.#length, 'utf8');
    this.#length += length;
  }
  flag(value: boolean): void {
    this.u8(value ? 1 : 0);
  }
  u8(value: number): void {
    this.#reserve(1);
    this.#length = this.#buffer.writeUInt8(value, this.#length);
  }
  u32(value: number): void {
    this.#reserve(4);
    this.#length = this.#buffer.writeUInt32BE(value, this.#length);
  }
  u64(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) throw new FormatError('not an unsigned integer');
    this.#reserve(8);
    this.#length = this.#buffer.writeUInt32BE(Math.floor(value / 0x1_0000_0000), this.#length);
    this.#length = this.#buffer.writeUInt32BE(value % 0x1_0000_0000, this.#length);
  }
  finish(): Buffer {
    return this.#buffer.subarray(0, this.#length);
  }
  #reserve(length: number): void {
    if (this.#length + length <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#length + length));
    this.#buffer.copy(larger, 0, 0, this.#length);
    // The content may be secret: the caller wipes the result, and no copy may stay behind.
    this.#buffer.fill(0);
    this.#buffer = larger;
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Throws `FormatError` if the bytes are not UTF-8. */
export function textOf(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch (cause) {
    throw new FormatError('text is not UTF-8', { cause });
  }
}

/** Reads exactly what `Writer` writes. Byte fields are views of the input, not copies. */
export class Reader {
  readonly #buffer: Buffer;
  #at = 0;

  constructor(input: Uint8Array) {
    this.#buffer = Buffer.from(input.buffer, input.byteOffset, input.byteLength);
  }
  raw(length: number): Buffer {
    const start = this.#advance(length);
    return this.#buffer.subarray(start, this.#at);
  }
  bytes(): Buffer {
    return this.raw(this.u32());
  }
  text(): string {
    return textOf(this.bytes());
  }
  flag(): boolean {
    const value = this.u8();
    if (value > 1) throw new FormatError('a flag is 0 or 1');
    return value === 1;
  }
  /**
   * A count of items that follow. Each takes at least one byte, so a count past the end is refused before anything is
   * allocated.
   */
  count(): number {
    const value = this.u32();
    if (value > this.#buffer.length - this.#at) throw new FormatError('truncated');
    return value;
  }
  u8(): number {
    return this.#buffer[this.#advance(1)]!;
  }
  u32(): number {
    return this.#buffer.readUInt32BE(this.#advance(4));
  }
  u64(): number {
    const part = this.raw(8);
    const value = part.readUInt32BE(0) * 0x1_0000_0000 + part.readUInt32BE(4);
    if (!Number.isSafeInteger(value)) throw new FormatError('integer too large');
    return value;
  }
  end(): void {
    if (this.#at !== this.#buffer.length) throw new FormatError('trailing bytes');
  }
  /** Returns where the next `length` bytes begin. */
  #advance(length: number): number {
    const start = this.#at;
    if (length > this.#buffer.length - start) throw new FormatError('truncated');
    this.#at += length;
    return start;
  }
}

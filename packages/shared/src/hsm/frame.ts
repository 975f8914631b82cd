import type { KeyObject } from 'node:crypto';
import { FormatError, Reader, Writer } from '../encoding/bytes.ts';
import { CannotOpenError, ivLength, open, seal, tagLength } from '../encoding/aead.ts';
import { type Refusal, refusals } from './refusals.ts';

/**
 * Frames of a stream (docs/formats.md, "Frames"). A frame holds all the commands, or all the answers, of one event-loop
 * turn and is sealed once. The layout is fixed, not a canonical format, because every command passes here.
 */

const SIGNATURE_BYTES = 64;
const TRACE_PARENT_BYTES = 24;

/** Maximum sealed size of a frame in bytes. */
export const MAX_FRAME_BYTES = 1_048_576;
export const MAX_FRAME_ENTRIES = 1024;
/** Maximum input of one command in bytes: an entry always fits a frame. */
export const MAX_INPUT_BYTES = 524_288;
/** Maximum size of an entry besides its input or output, in bytes. */
const ENTRY_OVERHEAD = 96;
/** NIST SP 800-38D bounds the invocations under one key. A stream that lasts this long is reopened. */
const MAX_FRAMES = 2 ** 32;

/** Gives no reason: the stream ends whatever it was. */
export class FrameError extends Error {
  override name = 'FrameError';
}

/**
 * The position of a member's span in a host's trace: trace id (16 bytes), then the id of the calling span (8 bytes).
 */
export type TraceParent = Uint8Array;

export interface RequestEntry {
  /** Increases from entry to entry within a stream. */
  readonly id: number;
  readonly code: number;
  /** How much longer the host will wait. Relative, so the two clocks need not agree. */
  readonly remainingMs: number;
  /** Whether the frame's signature covers it. */
  readonly signed: boolean;
  /** Present only if the request behind it is traced. */
  readonly trace: TraceParent | undefined;
  readonly input: Uint8Array;
}

export interface RequestFrame {
  readonly entries: readonly RequestEntry[];
  /** Ed25519 by the session's delegated key, over `signedCommands` of the entries with `signed` set. */
  readonly signature: Uint8Array | undefined;
}

export interface ReplyEntry {
  readonly id: number;
  /** Undefined on success. */
  readonly refusal: Refusal | undefined;
  readonly output: Uint8Array;
}

/** Seals the frames in one direction of a stream. The counter nonce is never sent: both ends count. */
export class FrameSealer {
  readonly #key: KeyObject;
  readonly #counter = new FrameCounter();

  constructor(key: KeyObject) {
    this.#key = key;
  }
  seal(plain: Uint8Array): Buffer {
    return Buffer.concat(seal({ key: this.#key, iv: this.#counter.next() }, plain));
  }
}

/** Opens the frames in one direction, in order. After one that does not open it opens no more. */
export class FrameOpener {
  #key: KeyObject | undefined;
  readonly #counter = new FrameCounter();

  constructor(key: KeyObject) {
    this.#key = key;
  }
  /** Throws `FrameError` for a frame that was replayed, reordered, cut or changed, or is from another stream. */
  open(sealed: Uint8Array): Buffer {
    const key = this.#key;
    this.#key = undefined;
    if (key === undefined || sealed.length < tagLength || sealed.length > MAX_FRAME_BYTES) throw new FrameError();
    const plain = opened(key, this.#counter.next(), sealed);
    this.#key = key;
    return plain;
  }
}

function opened(key: KeyObject, iv: Buffer, sealed: Uint8Array): Buffer {
  try {
    return open({ key, iv }, { ciphertext: sealed.subarray(0, -tagLength), tag: sealed.subarray(-tagLength) });
  } catch (error) {
    throw error instanceof CannotOpenError ? new FrameError() : error;
  }
}

class FrameCounter {
  readonly #iv = Buffer.alloc(ivLength);
  #count = 0;

  next(): Buffer {
    if (this.#count >= MAX_FRAMES) throw new FrameError();
    this.#iv.writeUIntBE(this.#count++, ivLength - 6, 6);
    return this.#iv;
  }
}

export function encodeRequests({ entries, signature }: RequestFrame): Buffer {
  const writer = new Writer(capacityFor(entries, ({ input }) => input));
  writer.flag(signature !== undefined);
  if (signature !== undefined) writer.raw(signature);
  writer.u32(entries.length);
  for (const { id, code, remainingMs, signed, trace, input } of entries) {
    writer.u32(id);
    writer.u32(code);
    writer.u32(remainingMs);
    writer.flag(signed);
    writer.flag(trace !== undefined);
    if (trace !== undefined) writer.raw(trace);
    writer.bytes(input);
  }
  return writer.finish();
}

/** Throws `FrameError`. Inputs are views of `plain`. */
export function decodeRequests(plain: Uint8Array): RequestFrame {
  return decoded(plain, (reader) => ({
    signature: reader.flag() ? reader.raw(SIGNATURE_BYTES) : undefined,
    entries: readEntries(reader, () => ({
      id: reader.u32(),
      code: reader.u32(),
      remainingMs: reader.u32(),
      signed: reader.flag(),
      trace: reader.flag() ? reader.raw(TRACE_PARENT_BYTES) : undefined,
      input: reader.bytes(),
    })),
  }));
}

export function encodeReplies(entries: readonly ReplyEntry[]): Buffer {
  const writer = new Writer(capacityFor(entries, ({ output }) => output));
  writer.u32(entries.length);
  for (const { id, refusal, output } of entries) {
    writer.u32(id);
    writer.u8(refusal === undefined ? 0 : refusals.indexOf(refusal) + 1);
    writer.bytes(output);
  }
  return writer.finish();
}

/** Throws `FrameError`. Outputs are views of `plain`. */
export function decodeReplies(plain: Uint8Array): ReplyEntry[] {
  return decoded(plain, (reader) =>
    readEntries(reader, () => ({ id: reader.u32(), refusal: readRefusal(reader), output: reader.bytes() })),
  );
}

function readRefusal(reader: Reader): Refusal | undefined {
  const status = reader.u8();
  if (status > refusals.length) throw new FormatError('unknown status');
  return status === 0 ? undefined : refusals[status - 1];
}

function readEntries<T>(reader: Reader, read: () => T): T[] {
  const count = reader.count();
  if (count > MAX_FRAME_ENTRIES) throw new FormatError('too many entries');
  const entries: T[] = [];
  for (let i = 0; i < count; i++) entries.push(read());
  return entries;
}

function decoded<T>(plain: Uint8Array, read: (reader: Reader) => T): T {
  try {
    const reader = new Reader(plain);
    const value = read(reader);
    reader.end();
    return value;
  } catch (cause) {
    throw new FrameError('', { cause });
  }
}

/** The size for the entries of one frame and its signature, so that nothing is copied during writing. */
function capacityFor<T>(entries: readonly T[], bodyOf: (entry: T) => Uint8Array): number {
  let size = ENTRY_OVERHEAD;
  for (const entry of entries) size += bodyOf(entry).length + ENTRY_OVERHEAD;
  return size;
}

/** Splits a batch, in order, into pieces that each fit one frame. */
export function frameSized<T>(entries: readonly T[], bodyOf: (entry: T) => Uint8Array): T[][] {
  const frames: T[][] = [];
  let frame: T[] = [];
  let size = 0;
  for (const entry of entries) {
    const length = bodyOf(entry).length + ENTRY_OVERHEAD;
    if (frame.length === MAX_FRAME_ENTRIES || (frame.length > 0 && size + length > MAX_FRAME_BYTES - ENTRY_OVERHEAD)) {
      frames.push(frame);
      frame = [];
      size = 0;
    }
    frame.push(entry);
    size += length;
  }
  if (frame.length > 0) frames.push(frame);
  return frames;
}

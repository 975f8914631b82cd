import { MAX_MEMBERS } from '@keyfleet/shared/api/read-json';
import { KmsException } from '@keyfleet/shared/errors/exceptions';

/** Of a message, beside the items of its one large map or list; more than any of ours has. */
const OTHERS = 64;
/** A message of fewer bytes cannot hold too many: a field takes two. */
const ALWAYS_FEW = 2 * (MAX_MEMBERS + OTHERS);

/** Messages in each other, more than a request has: protobuf.js makes nothing of deeper ones. */
const MAX_DEPTH = 4;

/** The protobuf encoding's wire types ("Message Structure"). Groups, which proto3 does not have, are skipped. */
const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;
const NONE = 6;

/**
 * Throws SerializationException for a message with more fields than any request has, itself or in one of its messages:
 * protobuf.js would make a value of each before anything counts them. An item of a list and a pair of a map are fields.
 */
export function assertFewFields(message: Uint8Array): void {
  if (message.length > ALWAYS_FEW && fieldsOf(message, MAX_DEPTH) > MAX_MEMBERS + OTHERS)
    throw new KmsException('SerializationException');
}

/**
 * As many as protobuf.js makes before it finds that this is no message. A text, or other bytes that nobody chose for
 * this, soon ends as one.
 */
function fieldsOf(message: Uint8Array, depth: number): number {
  if (depth === 0) return 0;
  let at = 0;
  let count = 0;
  /** Of 64 bits, protobuf.js uses 32 as a tag and as a length. */
  const varint = (): number => {
    let value = 0;
    for (let i = 0; i < 10; i++) {
      const byte = message[at++] ?? 0;
      if (i < 5) value |= (byte & 127) << (7 * i);
      if (byte < 128) break;
    }
    return value >>> 0;
  };
  while (at < message.length) {
    const wireType = varint() & 7;
    count++;
    if (wireType >= NONE) break;
    if (wireType === VARINT) varint();
    else if (wireType === FIXED64) at += 8;
    else if (wireType === FIXED32) at += 4;
    else if (wireType === BYTES) {
      const length = varint();
      if (length > ALWAYS_FEW) count += fieldsOf(message.subarray(at, at + length), depth - 1);
      at += length;
    }
  }
  return count;
}

import { MAX_MEMBERS } from '@keyfleet/shared/api/read-json';
import { KmsException } from '@keyfleet/shared/errors/exceptions';

/** Of a message, beside the items of its one large map or list; more than any of ours has. */
const OTHERS = 64;
/** A message of fewer bytes cannot hold too many: a field takes two. */
const ALWAYS_FEW = 2 * (MAX_MEMBERS + OTHERS);

/** The protobuf encoding's wire types ("Message Structure"), but for groups, which proto3 does not have. */
const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

/**
 * Throws SerializationException for a message with more fields than any request has, itself or in one of its messages:
 * protobuf.js would make a value of each before anything counts them. An item of a list and a pair of a map are fields.
 */
export function assertFewFields(message: Uint8Array): void {
  if (message.length > ALWAYS_FEW && fieldsOf(message) > MAX_MEMBERS + OTHERS)
    throw new KmsException('SerializationException');
}

/** 0 for what is no message, such as a text. */
function fieldsOf(message: Uint8Array): number {
  let at = 0;
  let [count, inside] = [0, 0];
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; scale < 2 ** 70; scale *= 128) {
      const byte = message[at++] ?? 0;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
    return Number.NaN;
  };
  while (at < message.length) {
    const wireType = varint() & 7;
    if (wireType === VARINT) varint();
    else if (wireType === FIXED64) at += 8;
    else if (wireType === FIXED32) at += 4;
    else if (wireType === BYTES) {
      const length = varint();
      if (length > ALWAYS_FEW) inside += fieldsOf(message.subarray(at, at + length));
      at += length;
    } else return 0;
    count++;
  }
  return at === message.length ? count + inside : 0;
}

import { kmsDefinition } from '@keyfleet/proto/kms';
import { MAX_MEMBERS, MAX_MEMBERS_IN_ALL } from '@keyfleet/shared/api/read-json';
import { KmsException } from '@keyfleet/shared/errors/exceptions';

/** Of a message: the items of its one large map or list, and more others than any of ours has. */
const MAX_FIELDS = MAX_MEMBERS + 64;
/** A message of so many bytes holds no more fields: each takes two at least. */
const ALWAYS_FEW = 2 * MAX_FIELDS;

/** The protobuf encoding's wire types ("Message Structure"). Groups, which proto3 does not have, are skipped. */
const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;
const NONE = 6;

/** Of the types that our requests have, beside messages. */
const wireTypes: Readonly<Record<string, number>> = {
  TYPE_STRING: BYTES,
  TYPE_BYTES: BYTES,
  TYPE_BOOL: VARINT,
  TYPE_INT32: VARINT,
  TYPE_INT64: VARINT,
};

/** A message's fields, by their numbers. */
export type Shape = ReadonlyMap<number, Field>;

interface Field {
  readonly wireType: number;
  /** Of a field that is a message. */
  readonly shape?: Shape;
}

/** What of a DescriptorProto says so (descriptor.proto). A map's pairs are of a nested type. */
interface MessageType {
  readonly name: string;
  readonly field: readonly { readonly number: number; readonly type: string; readonly typeName: string }[];
  readonly nestedType: readonly MessageType[];
}

/** Of a message of kms.proto, or of one that it imports. None of them has one of its own type in it. */
export function shapeOf(name: string): Shape {
  return shapeOfType((kmsDefinition[`keyfleet.kms.v1.${name}`] ?? kmsDefinition[name]!).type as MessageType);
}

function shapeOfType({ field, nestedType }: MessageType): Shape {
  return new Map(
    field.map(({ number, type, typeName }) => {
      if (type !== 'TYPE_MESSAGE') return [number, { wireType: wireTypes[type]! }];
      const nested = nestedType.find(({ name }) => name === typeName);
      return [number, { wireType: BYTES, shape: nested === undefined ? shapeOf(typeName) : shapeOfType(nested) }];
    }),
  );
}

/**
 * Throws SerializationException for a large message with more fields than any request has, in one of its messages or in
 * all of them: protobuf.js would make a value of each before anything counts them, also of one that the next replaces.
 * An item of a list and a pair of a map are fields. Also for a field of another wire type than its own, which
 * protobuf.js does not look at, and for a number of a length that it reads otherwise: it would see other fields than
 * are counted.
 */
export function assertFewFields(message: Uint8Array, shape: Shape): void {
  if (message.length <= ALWAYS_FEW) return;
  let inAll = 0;
  const look = (bytes: Uint8Array, fields: Shape): void => {
    let at = 0;
    let count = 0;
    /**
     * Of 64 bits, protobuf.js uses 32 as a tag and as a length. Those it takes for ten bytes as soon as they are more
     * than five, and a number that it does not know for as many as it has: others are refused. None of ours needs six
     * to nine.
     */
    const varint = (): number => {
      let value = 0;
      for (let i = 0; i < 10; i++) {
        const byte = bytes[at++] ?? 0;
        if (i < 5) value |= (byte & 127) << (7 * i);
        if (byte < 128 && (i < 5 || i === 9)) return value >>> 0;
        if (byte < 128) break;
      }
      throw new KmsException('SerializationException');
    };
    while (at < bytes.length) {
      const tag = varint();
      const wireType = tag & 7;
      const field = fields.get(tag >>> 3);
      const isOdd = field !== undefined && field.wireType !== wireType;
      if (isOdd || ++count > MAX_FIELDS || ++inAll > MAX_MEMBERS_IN_ALL)
        throw new KmsException('SerializationException');
      // protobuf.js makes nothing more.
      if (wireType >= NONE) break;
      if (wireType === VARINT) varint();
      else if (wireType === FIXED64) at += 8;
      else if (wireType === FIXED32) at += 4;
      else if (wireType === BYTES) {
        const length = varint();
        if (field?.shape !== undefined) look(bytes.subarray(at, at + length), field.shape);
        at += length;
      }
    }
  };
  look(message, shape);
}

import { z } from 'zod';
import { FormatError, Reader, textOf, Writer } from './bytes.ts';

/**
 * The only encoding of everything signed, sealed or used as associated data (docs/formats.md).
 *
 * A format is a label and a zod schema. Its bytes are the label, then every field in the schema's order: text and bytes
 * with a u32 length prefix, integers as u64, booleans and presence flags as one byte, lists with a u32 count, records
 * as pairs sorted by the key's UTF-8 bytes. A value has exactly one encoding, and decoding refuses anything else: there
 * is no malleability.
 */
export interface Format<T> {
  readonly label: string;
  encode(value: T): Buffer;
  /** Throws `FormatError` unless `bytes` is exactly what `encode` returns for some value of the schema. */
  decode(bytes: Uint8Array): T;
}

/** A byte string in a format's schema. */
export function bytes(length?: { min?: number; max?: number }): z.ZodType<Uint8Array> {
  const { min = 0, max = Number.MAX_SAFE_INTEGER } = length ?? {};
  return z
    .custom<Uint8Array>((value) => value instanceof Uint8Array && value.length >= min && value.length <= max)
    .meta({ wire: 'bytes' });
}

/** Defines a format. `label` separates domains: bytes of one format never mean anything in another. */
export function defineFormat<S extends z.ZodObject>(label: string, schema: S): Format<z.output<S>> {
  const prefix = lengthPrefixed(Buffer.from(label, 'utf8'));
  const codec = codecOf(schema);
  return {
    label,
    encode(value) {
      const writer = new Writer();
      writer.raw(prefix);
      codec.write(writer, value);
      return writer.finish();
    },
    decode(input) {
      const reader = new Reader(input);
      if (!reader.raw(prefix.length).equals(prefix)) throw new FormatError('another format');
      const value = codec.read(reader);
      reader.end();
      return value as z.output<S>;
    },
  };
}

/** Whether `input` begins with the label of `format`. It tells versions apart, and says nothing about the rest. */
export function isLabelled({ label }: Format<unknown>, input: Uint8Array): boolean {
  const prefix = lengthPrefixed(Buffer.from(label, 'utf8'));
  return prefix.equals(input.subarray(0, prefix.length));
}

interface Codec {
  write(writer: Writer, value: unknown): void;
  read(reader: Reader): unknown;
}

/** Compiled once per schema. */
function codecOf(schema: z.core.$ZodType): Codec {
  const codec = wireCodecOf(schema);
  return saysNoMoreThanItsWire(schema) ? codec : checked(codec, schema);
}

/**
 * Text needs no further check, nor does a structure whose parts were checked. This matters because every command is
 * decoded here.
 */
function saysNoMoreThanItsWire(schema: z.core.$ZodType): boolean {
  const { def, traits } = (schema as z.core.$ZodTypes)._zod;
  // Formats, ranges and refinements.
  if (traits.has('$ZodCheck') || (def.checks?.length ?? 0) > 0) return false;
  if (def.type === 'record') return saysNoMoreThanItsWire(def.keyType);
  return ['string', 'boolean', 'optional', 'array', 'object'].includes(def.type);
}

function checked(codec: Codec, schema: z.core.$ZodType): Codec {
  return {
    write: (writer, value) => codec.write(writer, value),
    read(reader) {
      const value = codec.read(reader);
      if (!z.safeParse(schema, value).success) throw new FormatError('a value the format does not allow');
      // Not zod's copy, which drops a record's `__proto__`: the decoded value would no longer be all that was signed or
      // sealed.
      return value;
    },
  };
}

/** The codec does not consult the schema when it runs. */
function wireCodecOf(schema: z.core.$ZodType): Codec {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  switch (def.type) {
    case 'custom':
      if (wireOf(schema) === 'bytes') return bytesCodec;
      break;
    case 'string':
    case 'enum':
    case 'literal':
      return textCodec;
    case 'number':
      return integerCodec;
    case 'boolean':
      return booleanCodec;
    case 'optional':
      return optionalCodec(codecOf(def.innerType));
    case 'array':
      return listCodec(codecOf(def.element));
    case 'record':
      return recordCodec(codecOf(def.valueType));
    case 'object':
      return objectCodec(Object.entries(def.shape));
    default:
  }
  throw new TypeError(`no canonical encoding for a zod ${def.type}`);
}

/** A custom schema's wire form, which `bytes()` sets. */
function wireOf(schema: z.core.$ZodType): unknown {
  return (schema as z.ZodType).meta()?.['wire'];
}

const textCodec: Codec = {
  write: (writer, value) => writer.text(value as string),
  read: (reader) => reader.text(),
};
const bytesCodec: Codec = {
  write: (writer, value) => writer.bytes(value as Uint8Array),
  read: (reader) => reader.bytes(),
};
const integerCodec: Codec = {
  write: (writer, value) => writer.u64(value as number),
  read: (reader) => reader.u64(),
};
const booleanCodec: Codec = {
  write: (writer, value) => writer.flag(value as boolean),
  read: (reader) => reader.flag(),
};

function optionalCodec(inner: Codec): Codec {
  return {
    write(writer, value) {
      writer.flag(value !== undefined);
      if (value !== undefined) inner.write(writer, value);
    },
    read: (reader) => (reader.flag() ? inner.read(reader) : undefined),
  };
}

function listCodec(element: Codec): Codec {
  return {
    write(writer, value) {
      const items = value as unknown[];
      writer.u32(items.length);
      for (const item of items) element.write(writer, item);
    },
    read: (reader) => Array.from({ length: reader.count() }, () => element.read(reader)),
  };
}

function recordCodec(valueCodec: Codec): Codec {
  return {
    write(writer, value) {
      const record = value as Record<string, unknown>;
      const keys = Object.keys(record);
      writer.u32(keys.length);
      for (const key of sortedByBytes(keys)) {
        writer.text(key);
        valueCodec.write(writer, record[key]);
      }
    },
    read(reader) {
      const entries: [string, unknown][] = [];
      const count = reader.count();
      let before: Buffer | undefined;
      for (let i = 0; i < count; i++) {
        const key = reader.bytes();
        if (before !== undefined && before.compare(key) >= 0) throw new FormatError('record keys out of order');
        before = key;
        entries.push([textOf(key), valueCodec.read(reader)]);
      }
      return Object.fromEntries(entries);
    },
  };
}

function objectCodec(shape: [string, z.core.$ZodType][]): Codec {
  const fields = shape.map(([name, schema]) => [name, codecOf(schema)] as const);
  return {
    write(writer, value) {
      for (const [name, codec] of fields) codec.write(writer, (value as Record<string, unknown>)[name]);
    },
    read(reader) {
      const value: Record<string, unknown> = {};
      for (const [name, codec] of fields) {
        const field = codec.read(reader);
        if (field !== undefined) value[name] = field;
      }
      return value;
    },
  };
}

function sortedByBytes(keys: string[]): string[] {
  return keys.length < 2
    ? keys
    : keys.toSorted((a, b) => Buffer.compare(Buffer.from(a, 'utf8'), Buffer.from(b, 'utf8')));
}

function lengthPrefixed(value: Uint8Array): Buffer {
  const writer = new Writer();
  writer.bytes(value);
  return writer.finish();
}

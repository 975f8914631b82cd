import { isUtf8 } from 'node:buffer';
import { exceptions, KmsException } from '../errors/exceptions.ts';
import { base64Length, liftBlobs, writeBase64 } from './blobs.ts';
import { tooManyException } from './check.ts';
import { compileInputCheck } from './input-check.ts';
import { type JsonStyle, structureWriterOf } from './json-writer.ts';
import type { InputOf, Operation, OutputOf } from './operation.ts';
import { type JsonObject, LITERALS, MAX_DEPTH, MAX_MEMBERS, readJson, TooManyError } from './read-json.ts';
import { type Shape, type StructureShape, structureOf } from './shape.ts';

/** The content type of every request and response body. */
export const AWS_JSON = 'application/x-amz-json-1.1';

export interface RequestCodec<I> {
  /**
   * Throws KmsException: SerializationException if the body or a type is wrong, then whatever `compileInputCheck`
   * throws.
   */
  parse(body: Uint8Array): I;
}

export interface ResponseCodec<O> {
  /**
   * The response body: if something in it is secret, as bytes that nothing else references; empty for an operation
   * without output. Members that the schema does not name are never sent.
   */
  encode(output: O): string | Buffer;
}

/**
 * Compiles an operation's request; call once per operation, at start. Unknown members are ignored, `null` counts as
 * absent, and the last of duplicates wins.
 */
export function requestCodec<O extends Operation>(operation: O): RequestCodec<InputOf<O>> {
  const shape = structureOf(operation.input.shape);
  const read = structureReader(shape);
  const check = compileInputCheck(operation);
  const parseJson = parserOf(shape);
  const blobs = shape.members.filter((member) => member.shape.kind === 'blob').map(({ name }) => Buffer.from(name));
  return {
    parse(body) {
      const input = read(jsonOf(body, parseJson, blobs)) as InputOf<O>;
      check(input);
      return input;
    },
  };
}

/** Compiles an operation's response; call once per operation, at start. */
export function responseCodec<O extends Operation>(operation: O): ResponseCodec<OutputOf<O>> {
  if (operation.output === null) return { encode: () => '' };
  const blobs: Uint8Array[] = [];
  const write = structureWriterOf(structureOf(operation.output.shape), awsJson(blobs));
  return {
    encode(output) {
      blobs.length = 0;
      const text = write(output);
      return blobs.length === 0 ? text : withBlobs(text, blobs);
    },
  };
}

/** Does not occur in any JSON text. */
const HOLE = '\0';

/** Secrets go to `blobs` and leave a hole in the text. (Node's own base64 is faster, but makes a string.) */
function awsJson(blobs: Uint8Array[]): JsonStyle {
  return {
    memberName: (name) => name,
    timestamp: (milliseconds) => String(milliseconds / 1000),
    blob: ({ sensitive }) =>
      sensitive === true
        ? (bytes) => {
            blobs.push(bytes);
            return `"${HOLE}"`;
          }
        : (bytes) => `"${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')}"`,
  };
}

/** Bytes to bytes: no string is made, which nothing could overwrite. */
function withBlobs(text: string, blobs: readonly Uint8Array[]): Buffer {
  let length = Buffer.byteLength(text) - blobs.length;
  for (const blob of blobs) length += base64Length(blob);
  const body = Buffer.allocUnsafe(length);
  let at = 0;
  let from = 0;
  for (const blob of blobs) {
    const hole = text.indexOf(HOLE, from);
    at += body.write(text.slice(from, hole), at);
    at = writeBase64(blob, body, at);
    from = hole + 1;
  }
  body.write(text.slice(from), at);
  return body;
}

/** The body of an error response. */
export function errorBody(exception: KmsException): string {
  const { text } = exceptions[exception.code];
  if (text === 'none' || exception.message === '') return JSON.stringify({ __type: exception.code });
  return JSON.stringify({ __type: exception.code, [text]: exception.message });
}

function serializationException(message = ''): KmsException {
  return new KmsException('SerializationException', message);
}

function jsonOf(given: Uint8Array, parse: (text: string) => unknown, blobs: readonly Buffer[]): unknown {
  // Bytes that are not UTF-8 would be read as U+FFFD, so different requests would mean the same.
  if (!isUtf8(given)) throw serializationException();
  const body = Buffer.from(given.buffer, given.byteOffset, given.byteLength);
  const lifted = blobs.length === 0 ? undefined : liftBlobs(body, blobs);
  const text = lifted?.text ?? body.toString('utf8');
  let json: unknown;
  try {
    json = parse(text);
  } catch (cause) {
    if (cause instanceof KmsException) throw cause;
    throw new KmsException('SerializationException', '', { cause });
  }
  if (Array.isArray(json)) throw serializationException(LIST_FOUND);
  if (typeof json !== 'object' || json === null) throw serializationException();
  for (const [name, blob] of lifted?.blobs ?? []) putBack(json as JsonObject, name, blob);
  return json;
}

/** If a later duplicate of the member is not a string, the duplicate wins. */
function putBack(json: JsonObject, name: string, blob: Buffer): void {
  if (typeof json[name] === 'string') json[name] = blob;
}

const LIST_FOUND = 'Start of list found where not expected';
const STRUCTURE_FOUND = 'Start of structure or map found where not expected.';

type Reader = (json: unknown) => unknown;

function readerOf(shape: Shape): Reader {
  switch (shape.kind) {
    case 'text':
    case 'choice':
      return readText;
    case 'integer':
      return readInteger;
    case 'flag':
      return readFlag;
    case 'timestamp':
      return readTimestamp;
    case 'blob':
      return readBlob;
    case 'map':
      return readMap;
    case 'list': {
      const readItem = readerOf(shape.item);
      return (json) => {
        if (!Array.isArray(json))
          throw typeof json === 'object' ? mismatch(json, '') : serializationException('Expected list or null');
        return json.map((item: unknown) => (item === null ? null : readItem(item)));
      };
    }
    case 'structure':
      return structureReader(shape);
  }
}

function structureReader(shape: StructureShape): Reader {
  const members = shape.members.map((member) => ({ ...member, read: readerOf(member.shape) }));
  return (json) => {
    if (typeof json !== 'object') throw serializationException('Expected null');
    if (Array.isArray(json)) throw serializationException(LIST_FOUND);
    const result: Record<string, unknown> = {};
    for (const member of members) {
      const field = (json as Record<string, unknown>)[member.name];
      if (field !== undefined && field !== null) result[member.name] = member.read(field);
      else if (member.default !== undefined) result[member.name] = member.default;
    }
    return result;
  };
}

function readText(json: unknown): string {
  if (typeof json !== 'string') throw mismatch(json, 'a String');
  return wellFormed(json);
}

/** A lone surrogate has no UTF-8 form: two different texts would have the same bytes. */
export function wellFormed(text: string): string {
  if (!text.isWellFormed()) throw serializationException();
  return text;
}

/** AWS truncates fractions and clamps the result to 32 bits. */
function readInteger(json: unknown): number {
  if (typeof json !== 'number') throw mismatch(json, 'an Integer');
  return Math.max(-0x8000_0000, Math.min(0x7fff_ffff, Math.trunc(json)));
}

function readFlag(json: unknown): boolean {
  if (typeof json !== 'boolean') throw mismatch(json, 'a Boolean');
  return json;
}

/** The last second that a Date can represent. */
const LAST_SECOND = 8_640_000_000_000;

/** From seconds to milliseconds. Throws SerializationException for what is no time that a Date represents. */
export function readTimestamp(json: unknown): number {
  if (typeof json !== 'number' || Math.abs(json) > LAST_SECOND) throw mismatch(json, 'milliseconds since epoch');
  return Math.round(json * 1000);
}

function readBlob(json: unknown): Buffer {
  if (json instanceof Buffer) return json;
  if (typeof json !== 'string') throw mismatch(json, 'a Blob');
  const bytes = Buffer.from(json, 'base64');
  // Each value has exactly one text: this checks padding, alphabet and the unused bits of the last character.
  if (bytes.toString('base64') !== json) throw serializationException();
  return bytes;
}

function holdsMap(shape: Shape): boolean {
  if (shape.kind === 'list') return holdsMap(shape.item);
  if (shape.kind === 'structure') return shape.members.some((member) => holdsMap(member.shape));
  return shape.kind === 'map';
}

/**
 * Chooses the reader that a body needs. Ours is for four cases: an operation with a map (`holdsMap`), in which a number
 * counts as its text; an escape, which may be in a name; possible nesting deeper than any request's, or more members.
 */
function parserOf(shape: StructureShape): (text: string) => unknown {
  const readsNumbers = holdsMap(shape);
  return (text) =>
    text.includes('\\') || (readsNumbers && mayHoldNumber.test(text)) || mayNestDeep(text) || mayHoldMany(text)
      ? readBounded(text, shape)
      : (JSON.parse(text) as unknown);
}

function readBounded(text: string, shape: StructureShape): unknown {
  try {
    return readJson(text);
  } catch (error) {
    throw error instanceof TooManyError ? tooManyException(error, shape) : error;
  }
}

/** Counts commas, also inside strings. */
function mayHoldMany(text: string): boolean {
  if (text.length <= MAX_MEMBERS) return false;
  let commas = 0;
  for (let at = text.indexOf(','); at !== -1; at = text.indexOf(',', at + 1)) {
    if (++commas >= MAX_MEMBERS) return true;
  }
  return false;
}

/** Counts opening brackets, also inside strings; for nearly every body that settles it at once. */
function mayNestDeep(text: string): boolean {
  let opened = 0;
  for (const opening of '{[') {
    for (let at = text.indexOf(opening); at !== -1; at = text.indexOf(opening, at + 1)) {
      if (++opened > MAX_DEPTH) return true;
    }
  }
  return false;
}

/** A quote and a colon end a name: inside a text such as an ARN there is no quote before the colon. */
const mayHoldNumber = /"[ \t\r\n]*:[ \t\r\n]*[-0-9]/;

/**
 * Scalars of other types become the text they were written as, which AWS documents for the encryption context: two
 * numbers may be equal as doubles but differ as texts. A null value is left for validation.
 */
function readMap(json: unknown): Record<string, string | null> {
  if (typeof json !== 'object') throw serializationException('Expected map or null');
  if (Array.isArray(json)) throw serializationException(LIST_FOUND);
  const result = Object.create(null) as Record<string, string | null>;
  const literals = (json as JsonObject)[LITERALS];
  for (const key in json) {
    const value = (json as Record<string, string | number | boolean | object | null>)[key]!;
    if (typeof value === 'object' && value !== null) throw mismatch(value, 'a String');
    const text = typeof value === 'number' ? literals![key]! : String(value);
    result[wellFormed(key)] = value === null ? null : wellFormed(text);
  }
  return result;
}

function mismatch(json: unknown, wanted: string): KmsException {
  if (Array.isArray(json)) return serializationException(LIST_FOUND);
  if (typeof json === 'object') return serializationException(STRUCTURE_FOUND);
  const found = typeof json === 'boolean' ? String(json) : typeof json;
  return serializationException(`${found.toUpperCase()}_VALUE can not be converted to ${wanted}`);
}

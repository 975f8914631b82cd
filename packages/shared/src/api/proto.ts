import type { z } from 'zod';
import { readTimestamp, wellFormed } from './aws-json.ts';
import { compileInputCheck } from './input-check.ts';
import type { InputOf, Operation, OutputOf } from './operation.ts';
import { type Shape, type StructureShape, structureOf } from './shape.ts';

/** A message of kms.proto as `@keyfleet/proto` decodes it and encodes it. */
export type Message = Readonly<Record<string, unknown>>;

/** Converts between an operation's values and its messages in kms.proto. */
export interface ProtoCodec<O extends Operation> {
  /** Server: throws KmsException; a ValidationException has the text that it has over HTTP, which the status cuts. */
  parseRequest(message: Message): InputOf<O>;
  formatResponse(output: OutputOf<O>): Message;
  /** Client: checks nothing, since the server does. */
  formatRequest(input: z.input<O['input']>): Message;
  parseResponse(message: Message): OutputOf<O>;
}

/** Compiles an operation's messages; call once per operation, at start. */
export function protoCodec<O extends Operation>(operation: O): ProtoCodec<O> {
  const request = structureOf(operation.input.shape);
  const response = structureOf(operation.output?.shape ?? {});
  const readRequest = structureReader(request);
  const readResponse = structureReader(response);
  const writeRequest = structureWriter(request);
  const writeResponse = structureWriter(response);
  const check = compileInputCheck(operation);
  return {
    parseRequest(message) {
      const input = readRequest(message) as InputOf<O>;
      check(input);
      return input;
    },
    formatResponse: (output) => writeResponse(output ?? {}),
    formatRequest: (input) => writeRequest(input),
    parseResponse: (message) => readResponse(message) as OutputOf<O>,
  };
}

/** google.protobuf.Timestamp. */
interface TimestampMessage {
  readonly seconds?: number;
  readonly nanos?: number;
}

type Converter = (value: unknown) => unknown;

function readerOf(shape: Shape): Converter {
  switch (shape.kind) {
    case 'text':
    case 'choice':
      return (value) => wellFormed(value as string);
    case 'timestamp':
      return (value) => {
        const { seconds = 0, nanos = 0 } = value as TimestampMessage;
        return readTimestamp(seconds + Math.round(nanos / 1e6) / 1000);
      };
    case 'map':
      return readMap;
    case 'list': {
      const read = readerOf(shape.item);
      return (value) => (value as unknown[]).map(read);
    }
    case 'structure':
      return structureReader(shape);
    case 'blob':
    case 'integer':
    case 'flag':
      return (value) => value;
  }
}

function structureReader(shape: StructureShape): (message: unknown) => Record<string, unknown> {
  const members = shape.members.map((member) => ({ ...member, read: readerOf(member.shape) }));
  return (message) => {
    const result: Record<string, unknown> = {};
    for (const {
      name,
      read,
      required,
      default: absent,
      shape: { kind },
    } of members) {
      const field = (message as Message)[name];
      if (field !== undefined && field !== null) result[name] = read(field);
      else if (absent !== undefined) result[name] = absent;
      // Protobuf has no other form for an empty list.
      else if (required && kind === 'list') result[name] = [];
    }
    return result;
  };
}

function readMap(value: unknown): Record<string, string> {
  const result = Object.create(null) as Record<string, string>;
  for (const [key, text] of Object.entries(value as Record<string, string>)) result[wellFormed(key)] = wellFormed(text);
  return result;
}

function writerOf(shape: Shape): Converter {
  switch (shape.kind) {
    case 'timestamp':
      return (value) => {
        const seconds = Math.floor((value as number) / 1000);
        return { seconds, nanos: Math.round(((value as number) - seconds * 1000) * 1e6) } satisfies TimestampMessage;
      };
    case 'list': {
      const write = writerOf(shape.item);
      return (value) => (value as unknown[]).map(write);
    }
    case 'structure':
      return structureWriter(shape) as Converter;
    case 'text':
    case 'choice':
    case 'blob':
    case 'integer':
    case 'flag':
    case 'map':
      return (value) => value;
  }
}

function structureWriter(shape: StructureShape): (value: object) => Message {
  const members = shape.members.map(({ name, shape: member }) => ({ name, write: writerOf(member) }));
  return (value) => {
    const message: Record<string, unknown> = {};
    for (const { name, write } of members) {
      const field = (value as Message)[name];
      if (field !== undefined) message[name] = write(field);
    }
    return message;
  };
}

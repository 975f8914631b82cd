import * as sdk from '@aws-sdk/client-kms';
import { requestCodec, responseCodec } from '@keyfleet/shared/api/aws-json';
import type { Operation } from '@keyfleet/shared/api/operation';
import { operations } from '@keyfleet/shared/api/registry';
import { type Shape, structureOf, type TextShape, wholePattern } from '@keyfleet/shared/api/shape';
import fc from 'fast-check';
import { expect, test } from 'vitest';

type Values = Record<string, unknown>;

/** Members that the SDK does not send (deviations.ts). */
const NEWER_THAN_SDK: ReadonlySet<string> = new Set(['ResourceOwners']);

/** Valid values of a shape, as the program holds them: bytes, milliseconds. */
function valueOf(shape: Shape): fc.Arbitrary<unknown> {
  switch (shape.kind) {
    case 'text':
      return textOf(shape);
    case 'choice':
      return fc.constantFrom(...shape.accepted);
    case 'integer':
      return fc.integer({ min: shape.min, max: shape.max });
    case 'flag':
      return fc.boolean();
    case 'timestamp':
      return fc.integer({ min: 0, max: 4_000_000_000_000 });
    case 'blob':
      return fc.uint8Array({ minLength: 1, maxLength: 60 });
    case 'list':
      return fc.array(valueOf(shape.item), { minLength: shape.min ?? 0, maxLength: 2 });
    case 'map':
      // The SDK itself loses a `__proto__` key.
      return fc.dictionary(fc.string(), fc.string(), { maxKeys: 3 }).filter((map) => !Object.hasOwn(map, '__proto__'));
    case 'structure': {
      const known = shape.members.filter(({ name }) => !NEWER_THAN_SDK.has(name));
      const members = known.map(({ name, shape: member }) => [name, valueOf(member)]);
      const requiredKeys = known.filter(({ required }) => required).map(({ name }) => name);
      return fc.record(Object.fromEntries(members) as Record<string, fc.Arbitrary<unknown>>, {
        requiredKeys,
        noNullPrototype: true,
      });
    }
  }
}

function textOf({ min = 0, max = 2048, pattern }: TextShape): fc.Arbitrary<string> {
  const maxLength = Math.min(max, min + 30);
  if (pattern === undefined) return fc.string({ minLength: min, maxLength });
  // Of one class repeated, ask for the right length at once; the others are mostly right by themselves.
  const repeated = /^\^?(\[[^\]]+\]|\\p\{ASCII\})[+*]\$?$/.exec(pattern)?.[1];
  if (repeated !== undefined) return fc.stringMatching(wholePattern(`${repeated}{${Math.max(1, min)},${maxLength}}`));
  return fc.stringMatching(wholePattern(pattern)).filter((text) => text.length >= min && text.length <= max);
}

/**
 * Turns timestamps into what the SDK takes and gives, and back; bytes into plain Uint8Array, so that values compare.
 */
function converted(shape: Shape, value: unknown, timestamp: (value: never) => unknown): unknown {
  switch (shape.kind) {
    case 'timestamp':
      return timestamp(value as never);
    case 'blob':
      return new Uint8Array(value as Uint8Array);
    case 'map':
      return { ...(value as Values) };
    case 'list':
      return (value as unknown[]).map((item) => converted(shape.item, item, timestamp));
    case 'structure': {
      const entries = shape.members.flatMap(({ name, shape: member }) => {
        const field = (value as Values)[name];
        return field === undefined ? [] : [[name, converted(member, field, timestamp)]];
      });
      return Object.fromEntries(entries) as Values;
    }
    case 'text':
    case 'choice':
    case 'integer':
    case 'flag':
      return value;
  }
}

const toDate = (milliseconds: number): Date => new Date(milliseconds);
const toMilliseconds = (date: Date): number => date.getTime();

/**
 * Sends `input` through the SDK to a server that answers `answer`: what was sent, and what the SDK made of the answer.
 */
async function exchange(
  operation: Operation,
  input: Values,
  answer: string,
): Promise<{ sent: Uint8Array; output: Values }> {
  let sent = new Uint8Array();
  const client = new sdk.KMSClient({
    region: 'us-east-1',
    credentials: { accessKeyId: 'AKIDEXAMPLE', secretAccessKey: 'secret' },
    requestHandler: {
      handle: async (request: { body: Uint8Array }) => {
        sent = new Uint8Array(request.body);
        const headers = { 'content-type': 'application/x-amz-json-1.1' };
        return Promise.resolve({ response: { statusCode: 200, headers, body: new Blob([answer]) } });
      },
    } as never,
  });
  const Command = (sdk as unknown as Record<string, new (input: Values) => never>)[`${operation.name}Command`]!;
  const { $metadata: _, ...output } = (await client.send(new Command(input))) as unknown as Values;
  return { sent, output };
}

test.each(Object.values<Operation>(operations))(
  'the AWS SDK and the codecs of $name mean the same bytes',
  async (operation) => {
    const request = structureOf(operation.input.shape);
    const response = structureOf(operation.output?.shape ?? {});
    const requests = requestCodec(operation);
    const responses = responseCodec(operation);
    await fc.assert(
      fc.asyncProperty(valueOf(request), valueOf(response), async (input, output) => {
        const answer = responses.encode((operation.output === null ? undefined : output) as never).toString();
        const exchanged = await exchange(operation, converted(request, input, toDate) as Values, answer);
        const defaults = Object.fromEntries(
          request.members.flatMap(({ name, default: absent }) => (absent === undefined ? [] : [[name, absent]])),
        );
        expect(converted(request, requests.parse(exchanged.sent), Number)).toEqual({
          ...defaults,
          ...(input as Values),
        });
        expect(converted(response, exchanged.output, toMilliseconds)).toEqual(output);
      }),
      { numRuns: 15 },
    );
  },
);

import { createHmac, createSecretKey, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { commands } from './commands.ts';
import { refusals } from './refusals.ts';
import {
  decodeReplies,
  decodeRequests,
  encodeReplies,
  encodeRequests,
  FrameError,
  FrameOpener,
  frameSized,
  FrameSealer,
} from './frame.ts';
import { sha256 } from './session.ts';
import { streamKeys } from './stream-keys.ts';

const u32 = fc.nat({ max: 2 ** 32 - 1 });
const body = fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes));
const trace = fc.option(
  fc.uint8Array({ minLength: 24, maxLength: 24 }).map((bytes) => Buffer.from(bytes)),
  { nil: undefined },
);
const requests = fc.record({
  signature: fc.option(
    fc.uint8Array({ minLength: 64, maxLength: 64 }).map((bytes) => Buffer.from(bytes)),
    {
      nil: undefined,
    },
  ),
  entries: fc.array(fc.record({ id: u32, code: u32, remainingMs: u32, signed: fc.boolean(), trace, input: body })),
});
const replies = fc.array(
  fc.record({ id: u32, refusal: fc.option(fc.constantFrom(...refusals), { nil: undefined }), output: body }),
);

describe('a frame', () => {
  test('says what was put into it', () => {
    fc.assert(
      fc.property(requests, replies, (frame, entries) => {
        expect(decodeRequests(encodeRequests(frame))).toEqual(frame);
        expect(decodeReplies(encodeReplies(entries))).toEqual(entries);
      }),
    );
  });

  test('of any other bytes is refused with FrameError alone, or has just that one encoding', () => {
    fc.assert(
      fc.property(requests, fc.nat(), fc.integer({ min: 1, max: 255 }), (frame, position, change) => {
        const bytes = encodeRequests(frame);
        bytes[position % bytes.length]! ^= change;
        let again = bytes;
        try {
          again = encodeRequests(decodeRequests(bytes));
        } catch (error) {
          expect(error).toBeInstanceOf(FrameError);
        }
        expect(again).toEqual(bytes);
      }),
    );
  });

  test('opens in its turn and at no other time', () => {
    const key = createSecretKey(randomBytes(32));
    const sealer = new FrameSealer(key);
    const frames = ['a', 'b'].map((text) => sealer.seal(Buffer.from(text)));
    const opener = new FrameOpener(key);
    expect(frames.map((frame) => opener.open(frame).toString())).toEqual(['a', 'b']);
    expect(() => opener.open(frames[0]!)).toThrow(FrameError);
    expect(() => opener.open(sealer.seal(Buffer.from('c')))).toThrow(FrameError);
  });

  test('is never larger than a member takes, however large the batch', () => {
    const [large, small] = [Buffer.alloc(500_000), Buffer.alloc(10)];
    const bodyOf = (entry: number): Buffer => (entry % 1500 === 0 ? large : small);
    const batch = Array.from({ length: 6000 }, (_, entry) => entry);
    const frames = frameSized([...batch, 0, 0, 0, 0], bodyOf);
    expect(frames.flat()).toEqual([...batch, 0, 0, 0, 0]);
    for (const frame of frames) {
      expect(frame.length).toBeLessThanOrEqual(1024);
      expect(frame.reduce((size, entry) => size + bodyOf(entry).length, 0)).toBeLessThan(1_048_576 - 96);
    }
  });
});

test('the keys of a stream are those of docs/formats.md', () => {
  const [secret, agreed, encapsulated] = [Buffer.alloc(32, 1), Buffer.alloc(48, 2), Buffer.alloc(32, 3)];
  const [open, accept] = [Buffer.from('open'), Buffer.from('accept')];
  const prefixed = (value: Buffer | string): Buffer => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(Buffer.byteLength(value));
    return Buffer.concat([length, Buffer.from(value)]);
  };
  const streamId = sha256(Buffer.concat([prefixed('keyfleet/session/stream/2'), prefixed(open), prefixed(accept)]));
  // RFC 5869 written out: one block is one key.
  const material = [prefixed('keyfleet/session/stream-secret/1'), ...[secret, agreed, encapsulated].map(prefixed)];
  const extracted = createHmac('sha256', streamId).update(Buffer.concat(material)).digest();
  const expanded = (info: string) => createHmac('sha256', extracted).update(info).update(Buffer.of(1)).digest();

  const keys = streamKeys({ sessionKey: createSecretKey(secret), agreed, encapsulated }, open, accept);
  expect(keys.streamId).toEqual(streamId);
  expect(keys.hostToMember.export()).toEqual(expanded('keyfleet/session/host-to-member/2'));
  expect(keys.memberToHost.export()).toEqual(expanded('keyfleet/session/member-to-host/2'));
  // The secrets were wiped, so no key can be derived from them again.
  expect([agreed, encapsulated]).toEqual([Buffer.alloc(48), Buffer.alloc(32)]);
});

test('the codes of commands and the order of refusals are what frames in the field say', () => {
  const codes = Object.values(commands).map(({ code }) => code);
  expect(new Set(codes).size).toBe(codes.length);
  expect(refusals.slice(0, 9)).toEqual([
    'cannot-open',
    'unknown-domain-key',
    'invalid-input',
    'invalid-public-key',
    'not-signed',
    'expired',
    'overloaded',
    'no-domain',
    'internal',
  ]);
});

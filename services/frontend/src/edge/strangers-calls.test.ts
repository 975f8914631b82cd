import { EventEmitter } from 'node:events';
import type { ServerHttp2Stream } from 'node:http2';
import { beforeEach, expect, test } from 'vitest';
import type { Connection } from './sender.ts';
import { StrangersCalls } from './strangers-calls.ts';

const ended: string[] = [];

beforeEach(() => {
  ended.length = 0;
});

const from = (network: string, isStrange = true) =>
  ({ peer: { network }, isStrange, cut: () => void ended.push(network) }) as object as Connection;

function newStream() {
  const kept: Buffer[] = [];
  const stream = Object.assign(new EventEmitter(), { kept, push: (piece: Buffer) => kept.push(piece) > 0 });
  return stream as object as typeof stream & ServerHttp2Stream;
}

const newCalls = () => new StrangersCalls({ of: () => undefined });

/** Streams of calls that have so many bytes of headers. */
const arrive = (calls: StrangersCalls, connection: Connection, count: number, headerBytes: number) =>
  Array.from({ length: count }, () => {
    const stream = newStream();
    calls.add(stream, { a: 'x'.repeat(headerBytes - 1) }, connection);
    return stream;
  });

test('fifty clients of one address may begin with 64 calls each', () => {
  using calls = newCalls();
  for (const stream of arrive(calls, from('honest'), 50 * 64, 5_000)) stream.push(Buffer.alloc(400));
  expect(ended).toEqual([]);
});

test('headers of calls are bounded for a peer and in all, and the peer with the most gives way', () => {
  using calls = newCalls();
  arrive(calls, from('honest'), 64, 4_096);
  const hostile = arrive(calls, from('alone'), 4_032, 15_000);
  // Each takes 72,288 bytes: 112 MiB hold 1,624 of them.
  expect(ended).toEqual(Array(4_032 - 1_624).fill('alone'));
  ended.length = 0;
  for (let peer = 0; peer < 20; peer++) arrive(calls, from(`peer ${peer}`), 270, 15_000);
  expect(ended.length).toBeGreaterThan(20 * 270 - 201_326_592 / 72_288);
  expect(ended).not.toContain('honest');
  ended.length = 0;
  for (const stream of hostile) stream.emit('close');
  arrive(calls, from('alone'), 270, 1);
  expect(ended).toEqual([]);
});

test('so are messages that nobody reads', () => {
  using calls = newCalls();
  for (const stream of arrive(calls, from('hostile'), 2_000, 1))
    for (let i = 0; i < 4; i++) stream.push(Buffer.allocUnsafeSlow(16_384));
  // With what each piece takes, a call has 79,876 bytes: 112 MiB hold 1,470 of them.
  expect(ended).toEqual(Array(2_000 - 1_470).fill('hostile'));
});

test('a piece of a message counts with more than its bytes', () => {
  using calls = newCalls();
  const [stream] = arrive(calls, from('hostile'), 1, 1);
  for (let i = 0; i < 230_000; i++) stream!.push(Buffer.allocUnsafeSlow(1));
  expect(ended).toEqual(['hostile']);
});

test('a call that brought a genuine signature no longer counts, and a connection that did is not ended', () => {
  using calls = newCalls();
  const [stream] = arrive(calls, from('genuine'), 1, 1);
  calls.remove(stream!);
  for (let i = 0; i < 120; i++) stream!.push(Buffer.alloc(1_048_576));
  const known = from('known', false);
  const [early] = arrive(calls, known, 1, 1);
  for (let i = 0; i < 120; i++) early!.push(Buffer.alloc(1_048_576));
  expect(ended).toEqual([]);
});

test('a small piece does not keep what else was read with it', () => {
  using calls = newCalls();
  const [stream] = arrive(calls, from('stranger'), 1, 1);
  const read = Buffer.from(new ArrayBuffer(65_536)).fill('s');
  stream!.push(read.subarray(9, 12));
  stream!.push(read.subarray(100, 50_000));
  const [small, large] = stream!.kept;
  expect(small!.toString()).toBe('sss');
  expect(small!.buffer.byteLength).toBe(3);
  expect(read.subarray(9, 12)).toEqual(Buffer.alloc(3));
  expect(large!.buffer).toBe(read.buffer);
});

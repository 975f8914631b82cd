import { beforeEach, expect, test } from 'vitest';
import type { Connection } from './sender.ts';
import { WaitingHeaders } from './waiting-headers.ts';

const ended: string[] = [];
const from = (network: string) =>
  ({ peer: { network }, socket: { destroy: () => void ended.push(network) } }) as object as Connection;
const calls = (network: string, count: number) => Array.from({ length: count }, () => ({ connection: from(network) }));

beforeEach(() => {
  ended.length = 0;
});

test('fifty clients of one address may begin with 64 calls each', () => {
  const headers = new WaitingHeaders();
  for (const call of calls('honest', 50 * 64)) headers.add(call, 5_000);
  expect(ended).toEqual([]);
});

test('the headers of calls that wait are bounded for a peer and in all, and the peer with the most gives way', () => {
  const headers = new WaitingHeaders();
  for (const call of calls('honest', 64)) headers.add(call, 4_096);
  const hostile = calls('alone', 4_032);
  for (const call of hostile) headers.add(call, 15_000);
  // 16 MiB hold 1,118 of them.
  expect(ended).toEqual(Array(4_032 - 1_118).fill('alone'));
  ended.length = 0;
  for (let peer = 0; peer < 20; peer++) for (const call of calls(`peer ${peer}`, 270)) headers.add(call, 15_000);
  expect(ended.length).toBeGreaterThan(20 * 270 - 33_554_432 / 15_000);
  expect(ended).not.toContain('honest');
  ended.length = 0;
  for (const call of hostile) headers.remove(call);
  for (const call of hostile.slice(0, 270)) headers.add(call, 1);
  expect(ended).toEqual([]);
});

import { expect, test } from 'vitest';
import type { Connection } from './sender.ts';
import { WaitingHeaders } from './waiting-headers.ts';

const cut: string[] = [];
const from = (network: string) => ({ peer: { network }, cut: () => void cut.push(network) }) as object as Connection;

test('the headers of calls that wait are bounded for a peer and in all, and the peer with the most gives way', () => {
  const headers = new WaitingHeaders();
  const honest = Array.from({ length: 64 }, () => ({ connection: from('honest') }));
  for (const call of honest) headers.add(call, 4_096);
  const hostile = Array.from({ length: 600 }, () => ({ connection: from('alone') }));
  for (const call of hostile) headers.add(call, 15_000);
  // 4 MiB hold 279 of them.
  expect(cut).toEqual(Array(600 - 279).fill('alone'));
  cut.length = 0;
  for (let peer = 0; peer < 20; peer++)
    for (let n = 0; n < 270; n++) headers.add({ connection: from(`peer ${peer}`) }, 15_000);
  expect(cut.length).toBeGreaterThan(20 * 270 - 25_165_824 / 15_000);
  expect(cut).not.toContain('honest');
  cut.length = 0;
  for (const call of hostile) headers.remove(call);
  for (const call of hostile.slice(0, 270)) headers.add(call, 1);
  expect(cut).toEqual([]);
});

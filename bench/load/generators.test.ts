import { expect, test } from 'vitest';
import type { LoadJob } from './job.ts';
import { sharesOf } from './generators.ts';

const job: LoadJob = {
  endpoint: { transport: 'http1', tls: false, host: '127.0.0.1', port: 1 },
  pools: [],
  choice: { kind: 'turn' },
  loop: { kind: 'closed', connections: 10 },
  warmupMs: 0,
  measureMs: 1,
  sliceMs: 1,
};

test('connections are dealt out to the processes, none twice', () => {
  expect(sharesOf(job, 4, 0).map(({ loop }) => loop.connections)).toEqual([3, 3, 2, 2]);
});

test('a process without a connection takes no part, and every arrival belongs to some other', () => {
  const shares = sharesOf({ ...job, loop: { kind: 'open', connections: 2, perSecond: 10 } }, 4, 0);
  expect(shares.map(({ arrivals }) => arrivals)).toEqual([
    { first: 0, step: 2 },
    { first: 1, step: 2 },
  ]);
});

import { expect, test } from 'vitest';
import { redisReadiness } from './readiness.ts';

const well = { servesLastKnown: false, believesReads: true };

test.each([
  ['is well', 'ready', well, undefined, { ok: true }],
  [
    'is away, while keys in memory are served',
    'reconnecting',
    { ...well, servesLastKnown: true },
    undefined,
    { ok: true, detail: 'away; keys in memory are served' },
  ],
  ['stays away', 'reconnecting', well, undefined, { ok: false, detail: 'not connected (reconnecting)' }],
  ['is refused', 'ready', { ...well, servesLastKnown: true }, 'it evicts', { ok: false, detail: 'it evicts' }],
  [
    'answers, and is not believed as nothing can be written to it',
    'ready',
    { ...well, believesReads: false },
    undefined,
    { ok: false, detail: 'it takes no writes: it lacks replicas, or another node took its place' },
  ],
] as const)('of a frontend whose Redis %s', (_, status, feed, refusal, readiness) => {
  expect(redisReadiness({ status }, feed, refusal)).toEqual(readiness);
});

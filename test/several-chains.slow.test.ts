import { describe, test } from 'vitest';
import { walkWithChains } from './support/several-chains.ts';

/**
 * Where each walk leads to: nobody whom people removed is used, no floor has what one domain-manager hid, and no member
 * is taken for all there are. Once the hostile member is out, frontends use all members and rely on the domain's newest
 * token, unless people had signed what is hidden.
 */
describe('a frontend to which one domain-manager and Redis show what was hidden from others', () => {
  test.each([2, 3, 8, 49, 59, 75, 96, 200])('uses those who are members, by seed %i', { timeout: 60_000 }, (seed) =>
    walkWithChains(seed, 30),
  );
});

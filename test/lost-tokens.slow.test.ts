import { describe, test } from 'vitest';
import { walk } from './support/lost-tokens.ts';

/**
 * Where each walk leads to: nobody honest is on another chain, no token that an honest member has installed is
 * replaced, and none of them has another key. Once all are back the domain goes on, and is rid of who lies.
 */
describe('a store that loses tokens again and again, while members and schedulers come and go', () => {
  test.each([1, 5, 53, 55, 66, 123])('ends no domain of honest members, by seed %i', (seed) =>
    walk(seed, 40, { liar: false }),
  );
  test.each([1, 2, 3, 4, 5, 6, 15, 53])('ends no domain with a member that lies, by seed %i', (seed) =>
    walk(seed, 40, { liar: true }),
  );
});

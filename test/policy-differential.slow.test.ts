import { newCase } from '@keyfleet/test-support/policy/cases';
import { agrees, decisionOf, differences, oracleAnswer } from '@keyfleet/test-support/policy/differences';
import { newSeeded, seedOf } from '@keyfleet/test-support/seeded';
import { expect, test } from 'vitest';

/** More of them: node bench/policy-differential.ts. */
const CASES = 2_000;

test('the engine decides as an independent one does, but where AWS says otherwise', { timeout: 300_000 }, async () => {
  const random = newSeeded(seedOf('policies'));
  let allowed = 0;
  for (let i = 0; i < CASES; i++) {
    const one = newCase(random);
    const ours = decisionOf(one);
    if (ours === 'allowed') allowed++;
    const theirs = await oracleAnswer(one);
    if (agrees(one, ours, theirs) || differences.some(({ concerns }) => concerns(one))) continue;
    expect.fail(`we say ${ours}, the oracle ${theirs}, of ${JSON.stringify(one, undefined, 2)}`);
  }
  // Cases that are all refused would prove little.
  expect(allowed).toBeGreaterThan(CASES / 10);
});

import { generateKeyPairSync } from 'node:crypto';
import { expect, test } from 'vitest';
import { encodedPublicKey } from '../domain/signature.ts';
import type { Operator } from '../domain/state.ts';
import { isAcceptedBy, isTimely, MAX_FOLLOWED, signAcceptance } from './store-acceptance.ts';

const signerOf = (operatorId: string) => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
  return { operatorId, privateKey, signingKey: encodedPublicKey(privateKey) };
};
const [anna, frontend, former] = [signerOf('anna'), signerOf('frontend-1'), signerOf('former')];
const operators: Operator[] = [
  { operatorId: 'anna', role: 'operator', signingKey: anna.signingKey },
  { operatorId: 'frontend-1', role: 'service-host', signingKey: frontend.signingKey },
];
const acceptance = { domain: 'test', id: 'new', follows: ['old', 'older'], acceptedAt: 1_800_000_000_000 };

test('an operator accepts a store in place of those before', () => {
  expect(isAcceptedBy(operators, acceptance, signAcceptance(acceptance, anna))).toBe(true);
});

test('nobody else does: no frontend, nobody who left, nor who takes the name of an operator', () => {
  for (const signer of [frontend, former, { ...former, operatorId: 'anna' }])
    expect(isAcceptedBy(operators, acceptance, signAcceptance(acceptance, signer))).toBe(false);
  expect(isAcceptedBy(operators, acceptance, { acceptedBy: '', signature: '' })).toBe(false);
  expect(isAcceptedBy(operators, acceptance, { acceptedBy: 'anna', signature: '' })).toBe(false);
});

test('an acceptance holds for this domain, this store and those before it alone', () => {
  const signed = signAcceptance(acceptance, anna);
  const many = Array.from({ length: MAX_FOLLOWED + 1 }, (_, at) => String(at));
  for (const other of [
    { domain: 'other' },
    { id: 'other' },
    { acceptedAt: acceptance.acceptedAt + 1 },
    { follows: ['old'] },
    { follows: ['old,older'] },
    { follows: many },
  ])
    expect(isAcceptedBy(operators, { ...acceptance, ...other }, signed)).toBe(false);
});

test('it is timely if it was signed while the service knew the store before, give or take ten minutes for clocks', () => {
  const [at, minute] = [acceptance.acceptedAt, 60_000];
  expect(isTimely(acceptance, at - 365 * 24 * 60 * minute, at + 1)).toBe(true);
  expect(isTimely(acceptance, at + 10 * minute, at + 10 * minute)).toBe(true);
  expect(isTimely(acceptance, at + 10 * minute + 1, at + 11 * minute)).toBe(false);
  expect(isTimely(acceptance, at - 20 * minute, at - 10 * minute)).toBe(true);
  expect(isTimely(acceptance, at - 20 * minute, at - 10 * minute - 1)).toBe(false);
});

import { newOperator } from '@keyfleet/test-support/domain';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isMet, possibleSigners } from './quorum.ts';
import { type Operator, type Role, roles, type Rule } from './state.ts';

const key = newOperator('any').signingKey;
const role = fc.constantFrom(...roles);
const requirement = fc.record({ role, minimum: fc.integer({ min: 1, max: 3 }) });
const alternatives = fc.array(fc.array(requirement, { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 3 });
const signers = fc.array(role, { maxLength: 6 }).map((list) => list.map(operatorOf));

function operatorOf(one: Role, i: number): Operator {
  return { operatorId: `operator-${i}`, role: one, signingKey: key };
}
const rule = (alternativesOf: Rule['alternatives']): Rule => ({
  command: 'ModifyMembers',
  alternatives: alternativesOf,
});

describe('a quorum rule', () => {
  test('is met when every requirement of one alternative is, and not by parts of several', () => {
    const either = rule([
      [
        { role: 'operator', minimum: 2 },
        { role: 'scheduler', minimum: 1 },
      ],
      [{ role: 'operator', minimum: 3 }],
    ]);
    const met = (...list: Role[]) => isMet(either, list.map(operatorOf));
    expect(met('operator', 'operator')).toBe(false);
    expect(met('operator', 'scheduler')).toBe(false);
    expect(met('operator', 'operator', 'scheduler')).toBe(true);
    expect(met('operator', 'operator', 'operator')).toBe(true);
    expect(met('service-host', 'service-host', 'service-host')).toBe(false);
  });

  test('is never met by fewer signers than its smallest alternative asks for of any role', () => {
    fc.assert(
      fc.property(alternatives, signers, (list, people) => {
        const smallest = Math.min(...list.map((one) => Math.max(...one.map(({ minimum }) => minimum))));
        return people.length >= smallest || !isMet(rule(list), people);
      }),
    );
  });

  test('that is met stays met with another signer, and does not ask who signed first', () => {
    fc.assert(
      fc.property(alternatives, signers, role, (list, people, another) => {
        const met = isMet(rule(list), people);
        expect(isMet(rule(list), people.toReversed())).toBe(met);
        if (met) expect(isMet(rule(list), [...people, operatorOf(another, 99)])).toBe(true);
      }),
    );
  });
});

test('those may sign whose role some rule names', () => {
  const operators = roles.map(operatorOf);
  const rotation: Rule = { command: 'RotateDomainKeys', alternatives: [[{ role: 'scheduler', minimum: 1 }]] };
  const rules = [rule([[{ role: 'operator', minimum: 2 }]]), rotation];
  const signing = (list: Rule[]) => possibleSigners({ rules: list, operators }).map(({ role: one }) => one);
  expect(new Set(signing(rules))).toEqual(new Set(['operator', 'scheduler']));
  expect(signing([])).toEqual([]);
});

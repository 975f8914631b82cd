import { keyReferencesOf, type Operation } from '@keyfleet/shared/api/operation';
import { operations } from '@keyfleet/shared/api/registry';
import { expect, test } from 'vitest';
import { findHandler } from '../operations/index.ts';
import { work } from './check.ts';
import { retirement } from './checks-on-grants.ts';
import { access, dryRun, grantTokens, recipient, state } from './checks-on-use.ts';
import { type AnyStep, stepsOf } from './order.ts';

const here = Object.values<Operation>(operations).filter(({ name }) => findHandler(name));

function indexOf(steps: readonly AnyStep[], step: unknown): number {
  return steps.indexOf(step as AnyStep);
}

test.each(here)('$name works once, for those whom it let through', ({ name }) => {
  const steps = stepsOf(name);
  expect(steps.filter((step) => step === work)).toHaveLength(1);
  const admission = name === 'RetireGrant' ? retirement : access;
  expect(indexOf(steps, admission)).toBeGreaterThanOrEqual(0);
  expect(indexOf(steps, admission)).toBeLessThan(indexOf(steps, work));
});

test.each(here)(
  '$name checks every member that this release does not act on, and the state of every key',
  (operation) => {
    const steps = stepsOf(operation.name);
    const members = operation.input.shape;
    expect(indexOf(steps, grantTokens) >= 0).toBe('GrantTokens' in members);
    expect(indexOf(steps, recipient) >= 0).toBe('Recipient' in members);
    expect(indexOf(steps, dryRun) >= 0).toBe('DryRun' in members);
    const onKeys = keyReferencesOf(operation).length > 0;
    expect(indexOf(steps, state) > indexOf(steps, access)).toBe(onKeys);
    if (onKeys) expect(indexOf(steps, state)).toBeLessThan(indexOf(steps, work));
  },
);

test('an operation without an order does not start', () => {
  expect(() => stepsOf('Fly')).toThrow('no order of checks');
  expect(() => stepsOf('constructor')).toThrow('no order of checks');
});

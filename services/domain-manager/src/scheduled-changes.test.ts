import { activeDomainKey } from '@keyfleet/shared/domain/state';
import { TestDomain } from '@keyfleet/test-support/domain';
import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { nextRotationAt, refusalOf } from './scheduled-changes.ts';

describe('whether members take the calls of this scheduler', () => {
  const { scheduler, hsms } = new TestDomain();
  const { state } = hsms[0]!.installed!;

  test('they do as long as it is in the newest token with its key', () => {
    expect(refusalOf(scheduler, state)).toBeUndefined();
  });

  test('they do not once it is removed, or its name has another key or role', () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' });
    expect(refusalOf({ ...scheduler, operatorId: 'scheduler-2' }, state)).toContain('scheduler-2 is no scheduler');
    expect(refusalOf({ ...scheduler, privateKey }, state)).toContain(`${scheduler.operatorId} has another key`);
    const operators = state.operators.map((one) => ({ ...one, operatorId: `${one.role}-of-others` }));
    expect(refusalOf({ ...scheduler, operatorId: 'operator-of-others' }, { ...state, operators })).toContain(
      'no scheduler',
    );
  });

  test('a domain without schedulers, which only version 1 made, takes calls from anyone', () => {
    const operators = state.operators.filter(({ role }) => role !== 'scheduler');
    expect(refusalOf(scheduler, { ...state, operators })).toBeUndefined();
  });
});

test('a domain of which an earlier release made the newest token is rotated within the hour: no later one goes without a witness', () => {
  const { state } = new TestDomain().hsms[0]!.installed!;
  const { createdAt } = activeDomainKey(state);
  const [minute, hour, day] = [60_000, 3_600_000, 86_400_000];
  for (const [version, everyMs, afterMs] of [
    [3, day, day],
    [2, day, hour],
    [1, day, hour],
    [2, minute, minute],
  ] as const) {
    expect(nextRotationAt({ ...state, version }, everyMs)).toBe(createdAt + afterMs);
  }
});

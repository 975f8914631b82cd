import { testRules } from '@keyfleet/test-support/domain';
import { expect, test } from 'vitest';
import { ruleLines } from './proposal-text.ts';

test('who signs rules reads what each needs, and what none of them allows any more', () => {
  expect(ruleLines(testRules, 0).filter((line) => line.startsWith('no rule'))).toEqual([]);
  const left = testRules.filter(({ command }) => command === 'ModifyRules' || command === 'LeaveDomain');
  const lines = ruleLines(left, 0);
  expect(lines).toContain('rule: ModifyRules needs 2 operator');
  expect(lines.filter((line) => line.startsWith('no rule')).join()).toMatch(
    /RotateDomainKeys.*RetireDomainKeys.*ReinstateDomainKeys.*DropDomainKeys.*ModifyMembers.*ModifyOperators/,
  );
});

import { encodeDomainChange, parseDomainChange } from '@keyfleet/shared/domain/proposal';
import { memberOf, TestDomain, testRules } from '@keyfleet/test-support/domain';
import { expect, test } from 'vitest';
import { explainDomainChange, ruleLines } from './proposal-text.ts';

test('who signs rules reads what each needs, and what none of them allows any more', () => {
  expect(ruleLines(testRules, 0).filter((line) => line.startsWith('no rule'))).toEqual([]);
  const left = testRules.filter(({ command }) => command === 'ModifyRules' || command === 'LeaveDomain');
  const lines = ruleLines(left, 0);
  expect(lines).toContain('rule: ModifyRules needs 2 operator');
  expect(lines.filter((line) => line.startsWith('no rule')).join()).toMatch(
    /RotateDomainKeys.*RetireDomainKeys.*ReinstateDomainKeys.*DropDomainKeys.*ModifyMembers.*ModifyOperators/,
  );
});

test('who signs reads that nobody but the preparer answers for the domain keys, and which member is offline', () => {
  const domain = new TestDomain();
  const admit = [{ ...memberOf(domain.newHsm('safe-1')), offline: true }];
  const linesOf = (unwitnessed: boolean) => {
    const change = domain.command({ name: 'ModifyMembers', body: { admit, remove: [] } });
    return explainDomainChange(parseDomainChange(encodeDomainChange({ ...change, unwitnessed })));
  };
  const alone = '  no other member confirms the domain token: hsm-1 alone could replace the domain keys by it';
  expect(linesOf(true)).toEqual([...linesOf(false), alone]);
  expect(linesOf(false)[1]).toMatch(/^ {2}admit member safe-1 .*\(offline: it confirms no domain token\)$/);
});

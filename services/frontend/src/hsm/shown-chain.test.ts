import { memberOf, newOperator, TestDomain } from '@keyfleet/test-support/domain';
import { showing } from '@keyfleet/test-support/shown-tokens';
import { expect, test } from 'vitest';
import { ShownChain } from './shown-chain.ts';

test('a chain removes whom it has had as a member and has no more, each by its keys; whom it never had it does not remove', () => {
  const domain = new TestDomain({ members: 3 });
  const [first, second, third] = domain.hsms.map(memberOf);
  const again = domain.newHsm('hsm-2');
  domain.hsms.splice(1);
  domain.step({ name: 'ModifyMembers', body: { admit: [memberOf(again)], remove: ['hsm-2'] } });
  domain.step({ name: 'ModifyOperators', body: { admit: [newOperator('carla')], remove: [] } });
  domain.step({ name: 'ModifyMembers', body: { admit: [], remove: ['hsm-2'] } });
  const chain = new ShownChain(showing('dm', []), { anchor: domain.anchor, lowest: undefined, verified: new Set() });
  chain.take(domain.tokens.slice(0, 2));
  expect(chain.removes(second!, 1)).toBe(true);
  expect(chain.removes(memberOf(again), 1)).toBe(false);
  chain.take(domain.tokens.slice(2));
  for (const one of [second!, memberOf(again)]) expect(chain.removes(one, 1)).toBe(true);
  expect([chain.removes(second!, 2), chain.removes(memberOf(again), 2)]).toEqual([false, true]);
  for (const one of [first!, third!, memberOf(domain.newHsm('hsm-4'))]) expect(chain.removes(one, 1)).toBe(false);
});

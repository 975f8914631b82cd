import type { StatusResponse__Output } from '@keyfleet/proto/gen/keyfleet/domain/v1/StatusResponse';
import type { DomainVersion } from '@keyfleet/shared/domain/state';
import { tokenHash } from '@keyfleet/shared/domain/token';
import { type Change, newOperator, publicPart, rotation, TestDomain, testRules } from '@keyfleet/test-support/domain';
import { expect, test } from 'vitest';
import { adviceFor } from './advice.ts';

const founded = () => {
  const domain = new TestDomain({ members: 3 });
  return { anchor: domain.anchor, state: domain.hsms[0]!.installed!.state };
};

test('a domain whose newest token has no witness is to be rotated', () => {
  const { anchor, state } = founded();
  const advised = (version: DomainVersion) =>
    adviceFor({ state: { ...state, version }, tokens: [] }, {} as never, anchor).join('\n');
  expect(advised(2)).toContain('no token needs a witness. Run: keyfleet domain rotate');
  expect(advised(3)).not.toContain('witness');
});

test('who is not in reach, and not marked as offline, is named: changes wait for its witness', () => {
  const { anchor, state } = founded();
  const advised = (absent: string[], offline: string[]): string[] => {
    const members = state.members.map((one) => (offline.includes(one.memberId) ? { ...one, offline: true } : one));
    const status = { absent_members: absent } as StatusResponse__Output;
    return adviceFor({ state: { ...state, members }, tokens: [] }, status, anchor).filter((line) =>
      line.includes('marked as offline'),
    );
  };
  expect(advised(['hsm-3'], ['hsm-3'])).toEqual([]);
  expect(advised([], [])).toEqual([]);
  expect(advised(['hsm-2', 'hsm-3'], ['hsm-2'])).toEqual([expect.stringMatching(/^hsm-3: not in reach/)]);
});

test.each(['ModifyMembers', 'ModifyOperators', 'ModifyRules'])('one person who alone may do %s is named', (name) => {
  const { anchor, state } = founded();
  const rules = state.rules.map((rule) =>
    rule.command === name ? { ...rule, alternatives: [[{ role: 'operator' as const, minimum: 1 }]] } : rule,
  );
  const advised = adviceFor({ state: { ...state, rules }, tokens: [] }, {} as never, anchor).filter((line) =>
    line.includes('one person'),
  );
  expect(advised).toEqual([expect.stringContaining(`can change the members (${name})`)]);
  expect(adviceFor({ state, tokens: [] }, {} as never, anchor).join()).not.toContain('one person');
});

test.each<[string, Change]>([
  ['the removal of a member', { name: 'ModifyMembers', body: { admit: [], remove: ['hsm-3'] } }],
  ['the removal of a scheduler', { name: 'ModifyOperators', body: { admit: [], remove: ['scheduler-2'] } }],
  ['a change of the rules', { name: 'ModifyRules', body: { rules: testRules, backupHorizonMs: 1 } }],
])('a checkpoint from before %s is to be moved, and none from after it', (_, change) => {
  const domain = new TestDomain({ members: 3 });
  const second = publicPart(newOperator('scheduler-2', 'scheduler'));
  domain.step({ name: 'ModifyOperators', body: { admit: [second], remove: [] } });
  domain.step(change);
  domain.clock.advance(3_600_000);
  domain.step(rotation);
  const { tokens } = domain;
  const advised = (generation: number): string => {
    const checkpoint = { generation, hash: tokenHash(tokens[generation - 1]!) };
    const { state } = domain.hsms[0]!.installed!;
    return adviceFor({ state, tokens }, {} as never, { ...domain.anchor, checkpoint }).join('\n');
  };
  expect(advised(2)).toContain('has a checkpoint from before the last removal or change of the rules');
  for (const generation of [3, 4]) expect(advised(generation)).not.toContain('checkpoint');
});

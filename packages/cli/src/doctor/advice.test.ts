import type { StatusResponse__Output } from '@keyfleet/proto/gen/keyfleet/domain/v1/StatusResponse';
import type { DomainVersion } from '@keyfleet/shared/domain/state';
import { TestDomain } from '@keyfleet/test-support/domain';
import { expect, test } from 'vitest';
import { adviceFor } from './advice.ts';

const founded = () => {
  const domain = new TestDomain({ members: 3 });
  return { anchor: domain.anchor, state: domain.hsms[0]!.installed!.state };
};

test('a domain whose newest token has no witness is to be rotated', () => {
  const { anchor, state } = founded();
  const advised = (version: DomainVersion) => adviceFor({ ...state, version }, {} as never, anchor).join('\n');
  expect(advised(2)).toContain('no token needs a witness. Run: keyfleet domain rotate');
  expect(advised(3)).not.toContain('witness');
});

test('who is not in reach, and not marked as offline, is named: changes wait for its witness', () => {
  const { anchor, state } = founded();
  const advised = (absent: string[], offline: string[]): string[] => {
    const members = state.members.map((one) => (offline.includes(one.memberId) ? { ...one, offline: true } : one));
    const status = { absent_members: absent } as StatusResponse__Output;
    return adviceFor({ ...state, members }, status, anchor).filter((line) => line.includes('marked as offline'));
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
  const advised = adviceFor({ ...state, rules }, {} as never, anchor).filter((line) => line.includes('one person'));
  expect(advised).toEqual([expect.stringContaining(`can change the members (${name})`)]);
  expect(adviceFor(state, {} as never, anchor).join()).not.toContain('one person');
});

import {
  type Change,
  memberOf,
  newOperator,
  publicPart,
  refusalOf,
  rotation,
  TestDomain,
  testRules,
} from '@keyfleet/test-support/domain';
import { checkedBy } from '@keyfleet/test-support/token-verdict';
import { describe, expect, test } from 'vitest';
import { Proposal } from '@keyfleet/shared/domain/proposal';
import { parseToken } from '@keyfleet/shared/domain/token';
import { ROTATION_PAUSE_MS } from '@keyfleet/shared/domain/valid-state';

describe('a hostile scheduler', () => {
  test('has a member rotate once in an hour, also one that restarts; who may change the members may at any time', () => {
    const domain = new TestDomain();
    const byMachine = [domain.scheduler];
    expect(refusalOf(() => domain.prepare(rotation, byMachine))).toBe('too-soon');
    domain.clock.advance(ROTATION_PAUSE_MS);
    domain.step(rotation, byMachine);

    domain.clock.advance(ROTATION_PAUSE_MS - 1);
    const restarted = domain.newHsm('hsm-2', domain.hsms[1]!.sealedIdentity());
    restarted.install(domain.tokens);
    for (const member of [domain.hsms[0], restarted]) {
      expect(refusalOf(() => domain.prepare(rotation, byMachine, member))).toBe('too-soon');
    }
    domain.clock.advance(1);
    domain.step(rotation, byMachine);
    domain.step(rotation, domain.people);
    expect(refusalOf(() => domain.prepare(rotation, byMachine))).toBe('too-soon');
  });

  test('binds no member to a rotation that none confirms yet, by one that it kept for an hour', () => {
    const domain = new TestDomain({ members: 3 });
    const byMachine = [domain.scheduler];
    domain.clock.advance(ROTATION_PAUSE_MS);
    const kept = domain.prepare(rotation, byMachine);
    domain.clock.advance(ROTATION_PAUSE_MS);
    domain.tokens.push(kept);
    for (const hsm of domain.hsms) hsm.install([kept]);
    for (const hsm of domain.hsms) {
      expect(refusalOf(() => domain.prepare(rotation, byMachine, hsm))).toBe('too-soon');
    }
    domain.clock.advance(ROTATION_PAUSE_MS);
    const [maker, witness] = domain.hsms;
    checkedBy(witness!, domain.prepare(rotation, byMachine, maker));
  });
});

test('a hostile scheduler has a member retire all keys of before a removal at once, and no others', () => {
  const domain = new TestDomain({ members: 3 });
  const idOf = () => domain.hsms[0]!.state!.domainKeys.at(-1)!.id;
  const retirement = (...ids: string[]): Change => ({ name: 'RetireDomainKeys', body: { ids } });
  const [first, second] = [idOf(), (domain.rotate(), idOf())];
  const refused = (...ids: string[]) => refusalOf(() => domain.prepare(retirement(...ids), [domain.scheduler]));
  expect(refused(first)).toBe('invalid-change');
  domain.hsms.pop();
  domain.step({ name: 'ModifyMembers', body: { admit: [], remove: ['hsm-3'] } });
  const third = idOf();
  domain.rotate();
  for (const ids of [[first], [second], [third], [first, third], [first, second, third]]) {
    expect(refused(...ids), ids.join()).toBe('invalid-change');
  }
  domain.step(retirement(second, first), [domain.scheduler]);
  expect(refused(third)).toBe('invalid-change');
  domain.step(retirement(third), domain.people);
});

test('one operator alone, where the rules let one rotate, has a member do it once in an hour too', () => {
  const domain = new TestDomain();
  const rules = testRules.map((rule) =>
    rule.command === 'RotateDomainKeys'
      ? { ...rule, alternatives: [[{ role: 'operator' as const, minimum: 1 }]] }
      : rule,
  );
  domain.step({ name: 'ModifyRules', body: { rules, backupHorizonMs: 0 } });
  expect(refusalOf(() => domain.prepare(rotation, [domain.alice]))).toBe('too-soon');
  domain.clock.advance(ROTATION_PAUSE_MS);
  domain.step(rotation, [domain.alice]);
  expect(refusalOf(() => domain.prepare(rotation, [domain.alice]))).toBe('too-soon');
  domain.step(rotation, domain.people);
});

describe('what a stranger who reaches every port may try', () => {
  test('the proposal of a stored token forks nobody: it is for its preparer, which gives the stored token', () => {
    const domain = new TestDomain({ members: 3 });
    const [a, b, c] = domain.hsms;
    const honest = domain.prepare(rotation, domain.people, a);
    const { made, proposal: madeOf } = parseToken(honest);
    const proposal = Proposal.encode(madeOf);
    for (const victim of [b!, c!]) {
      expect(refusalOf(() => victim.prepare(proposal, domain.tokens[0]))).toBe('other-preparer');
    }
    expect(a!.prepare(proposal, domain.tokens[0])).toEqual(made);
    for (const hsm of domain.hsms) hsm.install([honest]);
    expect(new Set(domain.hsms.map((hsm) => hsm.keyring()!.active.id)).size).toBe(1);
  });
});

test('a proposal that was recorded works on no other branch of the chain than the one it was signed for', () => {
  const domain = new TestDomain();
  const offline = domain.newHsm('hsm-2', domain.hsms[1]!.sealedIdentity());
  offline.install(domain.tokens);
  const former = newOperator('former');
  domain.rotate();
  const admitted = domain.step({ name: 'ModifyOperators', body: { admit: [publicPart(former)], remove: [] } });
  domain.step({ name: 'ModifyOperators', body: { admit: [], remove: ['former'] } });
  const recorded = Proposal.encode(parseToken(admitted).proposal);

  // Tokens 2 to 4 are lost. The offline member continues from token 1 and admits a fresh worker with the preparer's
  // name.
  domain.tokens.splice(1);
  domain.hsms.splice(0, 2, offline);
  const fresh = domain.newHsm('hsm-1');
  const replacement = { admit: [memberOf(fresh)], remove: ['hsm-1'] };
  domain.step({ name: 'ModifyMembers', body: replacement, unwitnessed: true });
  fresh.install(domain.tokens);
  expect(fresh.describe().generation).toBe(2);
  expect(refusalOf(() => fresh.prepare(recorded, domain.tokens.at(-1)))).toBe('forked');
});

test('a hostile domain-manager has a member read no token after the first that does not follow', () => {
  const domain = new TestDomain();
  for (let i = 0; i < 3; i++) domain.rotate();
  const [first, , third, newest] = domain.tokens as [Buffer, Buffer, Buffer, Buffer];
  const unread = Buffer.from('who reads this says that it is malformed');
  const refused = (...tokens: Buffer[]) => refusalOf(() => domain.hsms[1]!.install(tokens));
  expect(refused(first, unread, third)).toBe('rolled-back');
  for (const again of [newest, third]) expect(refused(newest, again, unread)).toBe('stale');
  expect(refused(first, unread, unread, newest)).toBe('accepted');
  expect(refused(unread)).toBe('malformed');
});

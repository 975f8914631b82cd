import {
  memberOf,
  newOperator,
  refusalOf,
  rotation,
  signedBy,
  TestDomain,
  testRules,
} from '@keyfleet/test-support/domain';
import { describe, expect, test } from 'vitest';
import { nextState } from './apply.ts';
import { boundToNothing, type DomainChange, type NewDomainChange } from './proposal.ts';
import { type RuledChange, ruledChanges } from './state.ts';
import { formatTrustAnchor, parseTrustAnchor } from './trust-anchor.ts';

type Founding = Extract<NewDomainChange, { name: 'CreateDomain' }>;

/** A candidate HSM, and a CreateDomain with it as the only member. */
function founding(domain: TestDomain, bound: Partial<Founding> = {}, body: Partial<Founding['body']> = {}) {
  const hsm = domain.newHsm('hsm-1');
  const { alice, bob, frontend, scheduler } = domain;
  const operators = [alice, bob, frontend, scheduler];
  const full = { members: [memberOf(hsm)], operators, rules: testRules, backupHorizonMs: 0, ...body };
  const change: Founding = { ...boundToNothing('test', 'hsm-1'), name: 'CreateDomain', body: full, ...bound };
  return { hsm, change };
}

describe('a domain is founded', () => {
  test('only by as many distinct founders as the trust anchor asks for', () => {
    const domain = new TestDomain();
    const { hsm, change } = founding(domain);
    const { alice, bob, carol } = domain;
    const by = (...signers: Parameters<typeof signedBy>[1]) => refusalOf(() => hsm.prepare(signedBy(change, signers)));
    expect(by(alice)).toBe('not-enough-signatures');
    expect(by()).toBe('not-enough-signatures');
    expect(by(alice, newOperator('mallory'))).toBe('forged');
    expect(by(alice, { ...newOperator('bob'), operatorId: 'bob' })).toBe('forged');
    expect(by(alice, domain.scheduler)).toBe('forged');
    expect(by(alice, bob)).toBe('accepted');
    expect(by(alice, carol, bob)).toBe('accepted');
  });

  test('only under the name of the trust anchor, as generation 0, by CreateDomain', () => {
    const domain = new TestDomain();
    const refusal = ({ hsm, change }: { hsm: ReturnType<TestDomain['newHsm']>; change: NewDomainChange }) =>
      refusalOf(() => hsm.prepare(signedBy(change, domain.people)));
    expect(refusal(founding(domain, { domain: 'other' }))).toBe('other-domain');
    expect(refusal(founding(domain, { generation: 1 }))).toBe('skipped');
    expect(refusal(founding(domain, { previousHash: Buffer.alloc(32, 1) }))).toBe('forked');
    const rotation: NewDomainChange = { ...boundToNothing('test', 'hsm-1'), name: 'RotateDomainKeys', body: {} };
    expect(refusal({ hsm: domain.newHsm('hsm-1'), change: rotation })).toBe('wrong-state');
  });

  test('only by an HSM that is one of its members', () => {
    const domain = new TestDomain();
    const { change } = founding(domain);
    const by = (hsm: ReturnType<TestDomain['newHsm']>, preparer: string) =>
      refusalOf(() => hsm.prepare(signedBy({ ...change, preparer }, domain.people)));
    expect(by(domain.newHsm('hsm-2'), 'hsm-1')).toBe('other-preparer');
    expect(by(domain.newHsm('hsm-2'), 'hsm-2')).toBe('invalid-change');
    expect(by(domain.newHsm('hsm-1'), 'hsm-1')).toBe('forged');
  });

  test('only with rules that leave a machine alone nothing but rotating and retiring', () => {
    const domain = new TestDomain();
    const scheduler = [[{ role: 'scheduler' as const, minimum: 1 }]];
    const refusal = (command: RuledChange) => {
      const others = testRules.filter((rule) => rule.command !== command);
      const { hsm, change } = founding(domain, {}, { rules: [...others, { command, alternatives: scheduler }] });
      return refusalOf(() => hsm.prepare(signedBy(change, domain.people)));
    };
    const accepted = ruledChanges.filter((command) => refusal(command) === 'accepted');
    expect(accepted).toEqual(['RotateDomainKeys', 'RetireDomainKeys']);
    expect(refusal('ModifyMembers')).toBe('invalid-change');
  });

  test('only with a rule by which its rules can be changed', () => {
    const domain = new TestDomain();
    const rules = testRules.filter(({ command }) => command !== 'ModifyRules');
    const { hsm, change } = founding(domain, {}, { rules });
    expect(refusalOf(() => hsm.prepare(signedBy(change, domain.people)))).toBe('invalid-change');
    const ruling = { name: 'ModifyRules', body: { rules, backupHorizonMs: 0 } } as const;
    expect(refusalOf(() => domain.prepare(ruling))).toBe('invalid-change');
    const others = testRules.filter(({ command }) => command === 'ModifyRules');
    domain.step({ name: 'ModifyRules', body: { rules: others, backupHorizonMs: 0 } });
    domain.step({ name: 'ModifyRules', body: { rules: testRules, backupHorizonMs: 0 } });
  });

  test('only with operators who can meet its rules, and everyone once', () => {
    const domain = new TestDomain();
    const { alice, scheduler } = domain;
    const refusal = (body: Partial<Founding['body']>) => {
      const { hsm, change } = founding(domain, {}, body);
      return refusalOf(() => hsm.prepare(signedBy(change, domain.people)));
    };
    expect(refusal({ operators: [alice, scheduler] })).toBe('invalid-change');
    expect(refusal({ members: [] })).toBe('invalid-change');
    expect(refusal({ rules: [...testRules.slice(1), testRules[1]!] })).toBe('invalid-change');
    expect(refusal({ operators: [alice, { ...alice, operatorId: 'alice-again' }, scheduler] })).toBe('invalid-change');
    expect(refusal({ operators: [alice, { ...newOperator('alice') }, domain.bob, scheduler] })).toBe('invalid-change');
    const offCurve = Buffer.from(alice.signingKey);
    offCurve[offCurve.length - 1]! ^= 1;
    expect(refusal({ operators: [{ ...alice, signingKey: offCurve }, domain.bob, scheduler] })).toBe('malformed');
  });
});

describe('a trust anchor file', () => {
  const { anchor } = new TestDomain();
  const file = () => JSON.parse(formatTrustAnchor(anchor)) as { operators: object[]; minimum: number };

  test('is read as it was written', () => {
    const operators = anchor.operators.map(({ operatorId, signingKey }) => ({ operatorId, signingKey }));
    expect(parseTrustAnchor(formatTrustAnchor(anchor))).toEqual({ domain: 'test', minimum: 2, operators });
  });

  test('is refused when it is not one, or could never be met', () => {
    const refusal = (change: object) => refusalOf(() => parseTrustAnchor(JSON.stringify({ ...file(), ...change })));
    expect(refusal({})).toBe('accepted');
    expect(refusal({ minimum: 0 })).toBe('malformed');
    expect(refusal({ minimum: 4 })).toBe('malformed');
    expect(refusal({ extra: 1 })).toBe('malformed');
    expect(refusal({ operators: [] })).toBe('malformed');
    expect(refusal({ operators: [file().operators[0], file().operators[0]], minimum: 1 })).toBe('malformed');
    expect(refusal({ operators: [{ operatorId: 'a', signingKey: 'AAAA' }], minimum: 1 })).toBe('malformed');
    expect(refusalOf(() => parseTrustAnchor('{'))).toBe('malformed');
  });
});

test('rules that allow a machine more are not made, and an older chain that has them continues', () => {
  const domain = new TestDomain();
  const { state } = domain.hsms[0]!.installed!;
  const rules = testRules.map((rule) =>
    rule.command === 'ModifyMembers'
      ? { ...rule, alternatives: [...rule.alternatives, [{ role: 'scheduler' as const, minimum: 1 }]] }
      : rule,
  );
  const ruling = { name: 'ModifyRules', body: { rules, backupHorizonMs: 0 } } as const;
  expect(refusalOf(() => domain.prepare(ruling))).toBe('invalid-change');
  const bound = { version: 2 as const, ...domain.command(rotation) };
  const lax = { ...state, rules };
  const next = nextState(lax, bound as DomainChange, { keyId: 'ab'.repeat(16), madeAt: domain.clock.now() });
  expect(next.rules).toEqual(rules);
});

import {
  forgedToken,
  newOperator,
  refusalOf,
  rotation,
  signedBy,
  TestDomain,
  type TestOperator,
} from '@keyfleet/test-support/domain';
import { madeBy, proposalOfVersion2, removal, verdict } from '@keyfleet/test-support/token-verdict';
import { describe, expect, test } from 'vitest';
import { type Binding, type NewDomainChange, Proposal } from './proposal.ts';
import type { NewMember } from './state.ts';
import { parseToken } from './token.ts';
import { ROTATION_PAUSE_MS } from './valid-state.ts';

describe('an unwitnessed change', () => {
  const people = { role: 'operator' as const, minimum: 2 };
  const one = { role: 'operator' as const, minimum: 1 };

  test('is signed by those who may change the members, whoever may make the change', () => {
    const domain = new TestDomain();
    const rules = domain.hsms[0]!.state!.rules.map((rule) => ({
      ...rule,
      alternatives: [[rule.command === 'ModifyMembers' ? people : one]],
    }));
    domain.step({ name: 'ModifyRules', body: { rules, backupHorizonMs: 0 } });
    domain.clock.advance(ROTATION_PAUSE_MS);
    const by = (unwitnessed: boolean, ...signers: TestOperator[]) =>
      refusalOf(() => madeBy(domain, { ...rotation, unwitnessed }, domain.hsms[0], signers));
    expect(by(true, domain.alice)).toBe('not-enough-signatures');
    expect(by(false, domain.alice)).toBe('accepted');
    expect(by(true, domain.alice, domain.bob)).toBe('accepted');
    // Whoever makes the token asks nobody.
    const token = madeBy(domain, rotation, domain.hsms[1]);
    const command = domain.command({ ...rotation, unwitnessed: true }, { preparer: 'hsm-2' });
    const forged = forgedToken(token, domain.identities.get('hsm-2')!, () => ({
      proposal: signedBy(command, [domain.alice]),
    }));
    expect(verdict(domain, forged)).toBe('not-enough-signatures');
  });

  test('is none where nobody may change the members', () => {
    const domain = new TestDomain();
    const rules = domain.hsms[0]!.state!.rules.filter(({ command }) => command !== 'ModifyMembers');
    domain.step({ name: 'ModifyRules', body: { rules, backupHorizonMs: 0 } });
    expect(refusalOf(() => madeBy(domain, { ...rotation, unwitnessed: true }))).toBe('not-enough-signatures');
  });

  test('is another change than the same with a witness, so that nobody turns one into the other', () => {
    const domain = new TestDomain();
    const witnessed = Proposal.decode(domain.propose(removal('hsm-2')));
    const { command } = Proposal.decode(domain.propose({ ...removal('hsm-2'), unwitnessed: false }));
    const swapped = Proposal.encode({ command, signatures: witnessed.signatures });
    expect(refusalOf(() => domain.hsms[0]!.prepare(swapped, domain.tokens[0]))).toBe('forged');
  });

  test('is not LeaveDomain, which makes no token', () => {
    const domain = new TestDomain();
    const leave = { name: 'LeaveDomain', body: { memberId: 'hsm-1' }, unwitnessed: true } as const;
    expect(refusalOf(() => domain.hsms[0]!.leave(domain.propose(leave)))).toBe('malformed');
    expect(refusalOf(() => domain.hsms[0]!.leave(domain.propose({ ...leave, unwitnessed: false })))).toBe('accepted');
  });
});

describe('in place of a check, people sign that the word of this maker is enough in this generation', () => {
  /** hsm-1 has made a rotation, and cannot make the removal that people sign then. */
  function bound() {
    const domain = new TestDomain({ members: 3 });
    domain.clock.advance(ROTATION_PAUSE_MS);
    const token = madeBy(domain, rotation, domain.hsms[0], [domain.scheduler]);
    const command = (binding: Partial<NewDomainChange> = {}) =>
      domain.command({ ...removal('hsm-2', 'hsm-3'), unwitnessed: true }, binding as Partial<Binding>);
    const waived = (change: NewDomainChange, signers: readonly TestOperator[] = domain.people) =>
      verdict(domain, token, signedBy(change, signers));
    return { domain, token, command, waived };
  }

  test('by a change that asks for no witness', () => {
    const { command, waived, domain } = bound();
    expect(waived(command())).toBe('accepted');
    expect(waived(command(), domain.founders)).toBe('accepted');
    expect(waived({ ...command(), unwitnessed: false })).toBe('forged');
  });

  test('which names this maker and no other', () => {
    const { command, waived } = bound();
    expect(waived(command({ preparer: 'hsm-2' }))).toBe('forged');
  });

  test('for this token’s generation, the token before it, and this domain', () => {
    const { command, waived } = bound();
    expect(waived(command({ generation: 0 }))).toBe('stale');
    expect(waived(command({ generation: 2 }))).toBe('skipped');
    expect(waived(command({ previousHash: Buffer.alloc(32, 1) }))).toBe('forked');
    expect(waived(command({ domain: 'other' }))).toBe('other-domain');
  });

  test('with all the signatures that it takes', () => {
    const { command, waived, domain, token } = bound();
    expect(waived(command(), [domain.alice])).toBe('not-enough-signatures');
    expect(waived(command(), [domain.alice, domain.scheduler])).toBe('not-enough-signatures');
    expect(waived(command(), [domain.alice, newOperator('mallory')])).toBe('forged');
    const alone = domain.command({ ...rotation, unwitnessed: true });
    expect(waived(alone, [domain.scheduler]), 'it may rotate, and not change the members').toBe(
      'not-enough-signatures',
    );
    const once = Proposal.decode(signedBy(command(), [domain.alice]));
    const twice = Proposal.encode({ ...once, signatures: [...once.signatures, ...once.signatures] });
    expect(verdict(domain, token, twice)).toBe('repeated-signer');
  });

  test('and not of an older version, whose members never said so', () => {
    const { domain, token } = bound();
    expect(verdict(domain, token, proposalOfVersion2(domain))).toBe('outdated');
  });

  test('nor where no witness is needed', () => {
    const domain = new TestDomain();
    const change = { ...rotation, unwitnessed: true };
    const token = madeBy(domain, change);
    expect(verdict(domain, token, domain.propose(change))).toBe('malformed');
  });

  test('at the founding too', () => {
    const domain = new TestDomain();
    const { made, proposal } = parseToken(domain.tokens[0]!);
    const { members, operators, rules, backupHorizonMs } = parseToken(made).state;
    domain.tokens.length = 0;
    const body = { members: members as NewMember[], operators, rules, backupHorizonMs };
    const waiver = (signers: readonly TestOperator[], binding: Partial<Binding> = {}) =>
      signedBy(domain.command({ name: 'CreateDomain', body, unwitnessed: true }, binding), signers);
    expect(verdict(domain, made, waiver(domain.people))).toBe('accepted');
    expect(verdict(domain, made, waiver([domain.alice]))).toBe('not-enough-signatures');
    expect(verdict(domain, made, waiver(domain.people, { preparer: 'hsm-2' }))).toBe('forged');
    expect(verdict(domain, made, Proposal.encode(proposal)), 'its own change asks for a witness').toBe('forged');
  });
});

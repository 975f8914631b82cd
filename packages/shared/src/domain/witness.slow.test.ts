import { forgedToken, memberOf, refusalOf, rotation, TestDomain, testSealKey } from '@keyfleet/test-support/domain';
import { madeBy, proposalOfVersion2, removal, replacement, verdict } from '@keyfleet/test-support/token-verdict';
import { describe, expect, test } from 'vitest';
import { verifyChain } from './chain.ts';
import { parseDomainChange, Proposal } from './proposal.ts';
import { DomainState, type Member, type NewMember } from './state.ts';
import { parseToken, tokenHash, withWitness } from './token.ts';
import { signHeld } from './token-check.ts';
import { needsWitness, witnessesOf } from './witness.ts';

type Hsm = TestDomain['hsms'][number];

/** A domain with an offline member. */
function withOffline(members: number): TestDomain {
  const domain = new TestDomain({ members });
  const safe = domain.newHsm('safe-1');
  domain.step({ name: 'ModifyMembers', body: { admit: [{ ...memberOf(safe), offline: true }], remove: [] } });
  safe.install(domain.tokens);
  domain.hsms.push(safe);
  return domain;
}

describe('a token of a domain of several members counts', () => {
  test('with the check of another member that stays, whichever that is, and without one never', () => {
    const domain = new TestDomain({ members: 3 });
    const token = madeBy(domain, rotation);
    expect(verdict(domain, token)).toBe('unwitnessed');
    for (const by of ['hsm-2', 'hsm-3']) expect(verdict(domain, token, domain.checkBy(by, token))).toBe('accepted');
  });

  test('not with the word of its maker, of a newcomer, of who leaves, of a former member or of nobody', () => {
    const domain = new TestDomain({ members: 4 });
    const former = domain.hsms.pop()!;
    domain.step(removal(former.memberId));
    const newcomer = domain.newHsm('hsm-9');
    const token = madeBy(domain, replacement([memberOf(newcomer)], 'hsm-3'));
    for (const by of ['hsm-1', 'hsm-9', 'hsm-3', 'hsm-4']) {
      expect([by, verdict(domain, token, domain.checkBy(by, token))]).toEqual([by, 'forged']);
    }
    expect(verdict(domain, token, domain.checkBy('hsm-2', token))).toBe('accepted');
  });

  test('not with the word of an HSM that has the name of a member and other keys', () => {
    const domain = new TestDomain({ members: 3 });
    const second = domain.identities.get('hsm-2')!;
    const another = domain.newHsm('hsm-2');
    const plain = madeBy(domain, rotation);
    expect(verdict(domain, plain, domain.checkBy('hsm-2', plain))).toBe('forged');
    // Nor with that of either when one takes the place of the other.
    const token = madeBy(domain, replacement([memberOf(another)], 'hsm-2'), domain.hsms[2]);
    expect(verdict(domain, token, domain.checkBy('hsm-2', token))).toBe('forged');
    domain.identities.set('hsm-2', second);
    expect(verdict(domain, token, domain.checkBy('hsm-2', token))).toBe('forged');
    expect(verdict(domain, token, domain.checkBy('hsm-1', token))).toBe('accepted');
  });

  test('not with a check of another token or domain, nor by a signature of something else', () => {
    const domain = new TestDomain();
    const token = madeBy(domain, rotation);
    const check = (said: Parameters<TestDomain['checkBy']>[2]) =>
      verdict(domain, token, domain.checkBy('hsm-2', token, said));
    expect(check({})).toBe('accepted');
    expect(check({ domain: 'other' })).toBe('forged');
    expect(check({ tokenHash: tokenHash(domain.tokens[0]!) })).toBe('forged');
    const inTheNameOf = domain.checkBy('hsm-1', token, { memberId: 'hsm-2' });
    expect(verdict(domain, token, inTheNameOf)).toBe('forged');
    const held = { domain: 'test', memberId: 'hsm-2', generation: 2, tokenHash: tokenHash(token) };
    const other = [signHeld(held, (message) => domain.identities.get('hsm-2')!.sign(message)), token, Buffer.of()];
    for (const witness of other) expect(verdict(domain, token, witness)).toBe('malformed');
  });

  test('not by a check of the same token that its maker changed afterwards', () => {
    const domain = new TestDomain();
    const token = madeBy(domain, rotation);
    const check = domain.checkBy('hsm-2', token);
    const owned = domain.identities.get('hsm-1')!;
    const sealedAnew = forgedToken(token, owned, ({ wrappedKeys }) => ({
      wrappedKeys: wrappedKeys.map((one) => ({ ...one, sealed: Buffer.alloc(48) })),
    }));
    expect(verdict(domain, sealedAnew, check)).toBe('forged');
  });

  test('in one form: a witnessed token in a witnessed token is none', () => {
    const domain = new TestDomain();
    const token = madeBy(domain, rotation);
    const check = domain.checkBy('hsm-2', token);
    const once = withWitness({ made: token }, check);
    expect(parseToken(once)).toMatchObject({ bytes: once, made: token, witness: check, hash: tokenHash(token) });
    for (const nested of [withWitness({ made: once }, check), Buffer.concat([once, Buffer.of(0)])])
      expect(refusalOf(() => parseToken(nested))).toBe('malformed');
  });

  test('under one hash, whoever confirms it, so that it is no fork of itself', () => {
    const domain = new TestDomain({ members: 3 });
    const token = madeBy(domain, rotation);
    const [one, other] = ['hsm-2', 'hsm-3'].map((by) => withWitness({ made: token }, domain.checkBy(by, token)));
    expect(tokenHash(one!)).toEqual(tokenHash(other!));
    domain.tokens.push(one!);
    for (const hsm of domain.hsms) hsm.install([one!]);
    const next = domain.prepare(rotation);
    expect(refusalOf(() => verifyChain(domain.anchor, [domain.tokens[0]!, other!, next]))).toBe('accepted');
  });

  test('from the founding on: another founding member confirms it', () => {
    const domain = new TestDomain();
    const { made, witness } = parseToken(domain.tokens[0]!);
    const founding = (by?: Uint8Array) => {
      const token = by === undefined ? made : withWitness({ made }, by);
      return refusalOf(() => verifyChain(domain.anchor, [token]));
    };
    expect([founding(witness), founding()]).toEqual(['accepted', 'unwitnessed']);
    expect(founding(domain.checkBy('hsm-1', made))).toBe('forged');
    domain.newHsm('hsm-9');
    expect(founding(domain.checkBy('hsm-9', made))).toBe('forged');
  });

  test('and a chain of which one token lacks its witness ends before it, whatever follows', () => {
    const domain = new TestDomain();
    domain.rotate();
    domain.rotate();
    const bare = domain.tokens.map((token) => parseToken(token).made);
    for (const at of bare.keys()) {
      const tokens = domain.tokens.with(at, Buffer.from(bare[at]!));
      expect(refusalOf(() => verifyChain(domain.anchor, tokens))).toBe('unwitnessed');
      expect(refusalOf(() => domain.newHsm('hsm-9').install(tokens))).toBe('unwitnessed');
    }
  });
});

describe('a token needs no witness, and then has none', () => {
  const bare = (domain: TestDomain, token: Uint8Array, ...by: string[]) => {
    expect(verdict(domain, token)).toBe('accepted');
    for (const one of by) expect(verdict(domain, token, domain.checkBy(one, token))).toBe('malformed');
    expect(verdict(domain, token, Buffer.of())).toBe('malformed');
  };

  test('where its maker alone is a member', () => {
    const domain = new TestDomain({ members: 1 });
    expect(parseToken(domain.tokens[0]!).witness).toBeUndefined();
    bare(domain, madeBy(domain, rotation), 'hsm-1');
    const newcomer = domain.newHsm('hsm-2');
    const [admitting] = [new TestDomain({ members: 1 })];
    bare(admitting, madeBy(admitting, replacement([memberOf(newcomer)])), 'hsm-1');
  });

  test('where all others are offline', () => {
    const domain = withOffline(1);
    bare(domain, madeBy(domain, rotation), 'safe-1');
    // Not if it is the offline one that makes it: the other could be asked.
    const token = madeBy(domain, rotation, domain.hsms[1]);
    expect(verdict(domain, token)).toBe('unwitnessed');
    expect(verdict(domain, token, domain.checkBy('hsm-1', token))).toBe('accepted');
  });

  test('where those who may change the members sign so', () => {
    const domain = new TestDomain();
    bare(domain, madeBy(domain, { ...rotation, unwitnessed: true }), 'hsm-2');
  });

  test('where the founders sign so', () => {
    const domain = new TestDomain();
    const { members, operators, rules, backupHorizonMs } = parseToken(domain.tokens[0]!).state;
    const body = { members: members as NewMember[], operators, rules, backupHorizonMs };
    const fresh = domain.newHsm('hsm-1', domain.identities.get('hsm-1')!.seal(testSealKey));
    domain.tokens.length = 0;
    bare(domain, madeBy(domain, { name: 'CreateDomain', body, unwitnessed: true }, fresh), 'hsm-2');
  });
});

test('an offline member confirms nothing, though it is a member', () => {
  const domain = withOffline(2);
  const token = madeBy(domain, rotation);
  expect(verdict(domain, token)).toBe('unwitnessed');
  expect(verdict(domain, token, domain.checkBy('safe-1', token))).toBe('forged');
  expect(verdict(domain, token, domain.checkBy('hsm-2', token))).toBe('accepted');
});

test('who was offline before the change is not asked, and who is from then on still may confirm it', () => {
  const domain = withOffline(2);
  const [, second, safe] = domain.hsms as [Hsm, Hsm, Hsm];
  const swapped = [{ ...memberOf(second), offline: true }, memberOf(safe)] as NewMember[];
  const body = { admit: swapped, remove: [second.memberId, safe.memberId] };
  const token = madeBy(domain, { name: 'ModifyMembers', body });
  expect(verdict(domain, token)).toBe('unwitnessed');
  expect(verdict(domain, token, domain.checkBy('safe-1', token))).toBe('forged');
  expect(verdict(domain, token, domain.checkBy('hsm-2', token))).toBe('accepted');
});

test('a change after which nobody stays but its maker and whom it admits has no witness at all', () => {
  const domain = new TestDomain({ members: 3 });
  const change = replacement([memberOf(domain.newHsm('hsm-9'))], 'hsm-2', 'hsm-3');
  const token = madeBy(domain, change);
  for (const by of ['hsm-2', 'hsm-3', 'hsm-9']) {
    expect(verdict(domain, token, domain.checkBy(by, token))).toBe('forged');
  }
  const signed = new TestDomain({ members: 3 });
  expect(verdict(signed, madeBy(signed, { ...removal('hsm-2', 'hsm-3'), unwitnessed: true }))).toBe('accepted');
});

test('a member that is not offline says nothing of that: there is one encoding', () => {
  const domain = new TestDomain();
  const admitted = (offline?: boolean) => {
    const member = { ...memberOf(domain.hsms[0]!), ...(offline !== undefined && { offline }) };
    const { command } = Proposal.decode(domain.propose(replacement([member])));
    return refusalOf(() => parseDomainChange(command));
  };
  expect([undefined, true, false].map(admitted)).toEqual(['accepted', 'accepted', 'malformed']);
});

test('no token of version 2, which has no witness, follows one of version 3', () => {
  const domain = new TestDomain();
  const older = forgedToken(madeBy(domain, rotation), domain.identities.get('hsm-1')!, (_, state) => ({
    proposal: proposalOfVersion2(domain),
    state: DomainState.encode({ ...state, version: 2 }),
  }));
  expect(verdict(domain, older)).toBe('outdated');
  expect(verdict(domain, older, domain.checkBy('hsm-2', older))).toBe('outdated');
});

test('who may confirm a change is known before it is made', () => {
  const member = (memberId: string, offline?: true) => ({ ...memberOf(hsm(memberId)), ...(offline && { offline }) });
  const domain = new TestDomain({ members: 1 });
  const hsm = (memberId: string) => domain.newHsm(memberId);
  const [maker, second, third, safe] = [member('a'), member('b'), member('c'), member('safe', true)];
  const names = (before: Member[], after: Member[]) => witnessesOf(before, after, 'a').map(({ memberId }) => memberId);
  const all = [maker, second, third, safe];
  expect(names(all, all)).toEqual(['b', 'c']);
  expect(names(all, [maker, third, member('d')])).toEqual(['c']);
  expect(names(all, [maker, member('b'), safe])).toEqual([]);
  const change = { version: 3, unwitnessed: false } as const;
  expect(needsWitness(all, change, 'a')).toBe(true);
  expect(needsWitness([maker, safe], change, 'a')).toBe(false);
  expect(needsWitness([maker, safe], change, 'safe')).toBe(true);
  expect(needsWitness(all, { ...change, unwitnessed: true }, 'a')).toBe(false);
  expect(needsWitness(all, { ...change, version: 2 }, 'a')).toBe(false);
});

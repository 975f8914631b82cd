import {
  forgedToken,
  memberOf,
  newOperator,
  publicPart,
  refusalOf,
  rotation,
  signedBy,
  TestDomain,
} from '@keyfleet/test-support/domain';
import { describe, expect, test } from 'vitest';
import { verifyChain } from './chain.ts';
import { Proposal } from './proposal.ts';
import { DomainState, type NewMember } from './state.ts';
import { parseToken, TokenEnvelope, tokenHash, withWitness } from './token.ts';

/** The verdict of every verifier: the chain alone, and a member that has installed all but the newest token. */
function refusalOfAll(domain: TestDomain, token: Buffer): string {
  const chain = refusalOf(() => verifyChain(domain.anchor, [...domain.tokens, token]));
  const member = refusalOf(() => domain.hsms.at(-1)!.install([token]));
  expect(member).toBe(chain);
  expect(domain.hsms.at(-1)!.describe().generation).toBe(domain.generation);
  return chain;
}

describe('a chain of tokens', () => {
  test('leads from the trust anchor to the newest state, at once or piece by piece', () => {
    const domain = new TestDomain();
    domain.rotate();
    domain.step({ name: 'ModifyOperators', body: { admit: [newOperator('dave')], remove: ['carol'] } });
    const all = verifyChain(domain.anchor, domain.tokens);
    expect(all.state.operators.map(({ operatorId }) => operatorId)).toEqual([
      'alice',
      'bob',
      'frontend-1',
      'scheduler-1',
      'dave',
    ]);
    const known = verifyChain(domain.anchor, domain.tokens.slice(0, 1));
    expect(verifyChain(domain.anchor, domain.tokens.slice(1), known)).toEqual(all);
    expect(verifyChain(domain.anchor, [], known)).toBe(known);
  });

  test('is refused when it is empty, has a gap, or begins anywhere but at the founding', () => {
    const domain = new TestDomain();
    domain.rotate();
    domain.rotate();
    const [first, second, third] = domain.tokens as [Buffer, Buffer, Buffer];
    const refusal = (...tokens: Buffer[]) => refusalOf(() => verifyChain(domain.anchor, tokens));
    expect(refusal()).toBe('no-domain');
    expect(refusal(second, third)).toBe('skipped');
    expect(refusal(first, third)).toBe('skipped');
    expect(refusal(first, second, second)).toBe('stale');
    expect(refusal(first, first)).toBe('stale');
  });

  test('is refused under the trust anchor of others, even of the same name', () => {
    const domain = new TestDomain();
    expect(refusalOf(() => verifyChain(new TestDomain().anchor, domain.tokens))).toBe('forged');
    expect(refusalOf(() => verifyChain(new TestDomain({ name: 'other' }).anchor, domain.tokens))).toBe('other-domain');
  });

  test('is refused when a member signs two tokens of one generation and the second is followed', () => {
    const domain = new TestDomain();
    const twin = domain.prepare(rotation, domain.people, domain.hsms[1]);
    domain.rotate();
    const next = domain.prepare(rotation);
    expect(refusalOf(() => verifyChain(domain.anchor, [domain.tokens[0]!, twin, next]))).toBe('forked');
  });

  test('keeps its hashes when someone replaces an ECDSA signature by its other form', () => {
    const domain = new TestDomain();
    const token = domain.rotate();
    const { body, signature, witness } = parseToken(token);
    const order = 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n;
    const s = BigInt(`0x${Buffer.from(signature.subarray(48)).toString('hex')}`);
    const otherS = Buffer.from((order - s).toString(16).padStart(96, '0'), 'hex');
    const made = TokenEnvelope.encode({ body, signature: Buffer.concat([signature.subarray(0, 48), otherS]) });
    const twin = withWitness({ made }, witness!);
    expect(twin.equals(token)).toBe(false);
    expect(tokenHash(twin)).toEqual(tokenHash(token));
    expect(refusalOf(() => verifyChain(domain.anchor, [domain.tokens[0]!, twin, domain.prepare(rotation)]))).toBe(
      'accepted',
    );
  });
});

describe('whoever controls the store and the network, and one member, cannot', () => {
  const owned = (domain: TestDomain) => domain.identities.get('hsm-1')!;

  test('make a token without the key of a member', () => {
    const domain = new TestDomain();
    const stranger = domain.newHsm('hsm-9');
    const token = domain.prepare(rotation);
    expect(
      refusalOfAll(
        domain,
        forgedToken(token, domain.identities.get('hsm-9')!, () => ({})),
      ),
    ).toBe('forged');
    const claim = forgedToken(token, domain.identities.get('hsm-9')!, () => ({ signerId: 'hsm-9' }));
    expect(refusalOfAll(domain, claim)).toBe('forged');
    expect(stranger.keyring()).toBeUndefined();
  });

  test('add a member, an operator, a rule or a domain key that no command asked for', () => {
    const domain = new TestDomain();
    const token = domain.prepare(rotation);
    const evil = domain.newHsm('evil');
    const changes: ((state: DomainState) => Partial<DomainState>)[] = [
      ({ members }) => ({ members: [...members, memberOf(evil)] }),
      ({ members }) => ({ members: members.slice(0, 1) }),
      ({ members: [one, two] }) => ({ members: [one!, { ...memberOf(evil), memberId: two!.memberId }] }),
      ({ operators }) => ({ operators: [...operators, publicPart(newOperator('mallory'))] }),
      ({ operators }) => ({ operators: operators.map((one) => ({ ...one, role: 'operator' as const })) }),
      ({ rules }) => ({ rules: rules.slice(0, 1) }),
      ({ domainKeys: [first, ...rest] }) => ({ domainKeys: [{ ...first!, createdAt: 0 }, ...rest] }),
      ({ domainKeys }) => ({ domainKeys: domainKeys.slice(1) }),
      () => ({ backupHorizonMs: 1 }),
    ];
    for (const change of changes) {
      const altered = forgedToken(token, owned(domain), (_, state) => ({
        state: DomainState.encode({ ...state, ...change(state) }),
      }));
      expect(refusalOfAll(domain, altered)).toBe('wrong-state');
    }
  });

  test('seal a token for someone else, or leave a member out', () => {
    const domain = new TestDomain();
    const token = domain.prepare(rotation);
    const outsider = forgedToken(token, owned(domain), ({ wrappedKeys }) => ({
      wrappedKeys: [...wrappedKeys, { ...wrappedKeys[0]!, memberId: 'evil' }],
    }));
    expect(refusalOfAll(domain, outsider)).toBe('wrong-state');
    const without = forgedToken(token, owned(domain), ({ wrappedKeys }) => ({ wrappedKeys: wrappedKeys.slice(0, 1) }));
    expect(refusalOfAll(domain, without)).toBe('wrong-state');
  });

  test('use a proposal again, or for another domain, or for a generation to come', () => {
    const domain = new TestDomain();
    const used = domain.propose(rotation);
    domain.rotate();
    const replay = (proposal: Buffer) =>
      refusalOfAll(
        domain,
        forgedToken(domain.prepare(rotation), owned(domain), () => ({ proposal })),
      );
    expect(replay(used)).toBe('stale');
    expect(replay(signedBy(domain.command(rotation, { generation: 3 }), domain.people))).toBe('skipped');
    const elsewhere = { ...domain.command(rotation), domain: 'other' };
    expect(replay(signedBy(elsewhere, domain.people))).toBe('other-domain');
  });

  test('found the domain again after it was founded', () => {
    const domain = new TestDomain();
    const { body } = foundingOf(domain);
    const again = signedBy(domain.command({ name: 'CreateDomain', body }), domain.people);
    const token = forgedToken(domain.prepare(rotation), owned(domain), () => ({ proposal: again }));
    expect(refusalOfAll(domain, token)).toBe('no-rule');
  });

  test('do with one signature what needs two, with two of one person, or with the wrong role', () => {
    const domain = new TestDomain();
    const change = { name: 'ModifyOperators', body: { admit: [], remove: ['carol'] } } as const;
    const good = domain.prepare({ ...change, body: { admit: [], remove: ['carol'] } });
    const command = domain.command({ ...change, body: { admit: [], remove: ['carol'] } });
    const withSigners = (proposal: Buffer) =>
      refusalOfAll(
        domain,
        forgedToken(good, owned(domain), () => ({ proposal })),
      );
    expect(withSigners(signedBy(command, []))).toBe('not-enough-signatures');
    expect(withSigners(signedBy(command, [domain.alice]))).toBe('not-enough-signatures');
    expect(withSigners(signedBy(command, [domain.alice, domain.scheduler, domain.frontend]))).toBe(
      'not-enough-signatures',
    );
    expect(withSigners(signedBy(command, [domain.alice, newOperator('mallory')]))).toBe('forged');
    expect(withSigners(signedBy(command, [domain.alice, { ...newOperator('x'), operatorId: 'bob' }]))).toBe('forged');

    const once = Proposal.decode(signedBy(command, [domain.alice]));
    const twice = Proposal.encode({ ...once, signatures: [...once.signatures, ...once.signatures] });
    expect(withSigners(twice)).toBe('repeated-signer');
    const asBob = [...once.signatures, { ...once.signatures[0]!, operatorId: 'bob' }];
    expect(withSigners(Proposal.encode({ ...once, signatures: asBob }))).toBe('forged');
  });

  test('put the signatures of one command under another', () => {
    const domain = new TestDomain();
    const { signatures } = Proposal.decode(domain.propose(rotation));
    const admit = [memberOf(domain.newHsm('evil'))];
    const token = domain.prepare({ name: 'ModifyMembers', body: { admit, remove: [] } });
    const { command } = parseToken(token).proposal;
    const proposal = Proposal.encode({ command, signatures });
    expect(
      refusalOfAll(
        domain,
        forgedToken(token, owned(domain), () => ({ proposal })),
      ),
    ).toBe('forged');
  });

  test('change a token on the way', () => {
    const domain = new TestDomain();
    const token = domain.prepare(rotation);
    for (let at = 0; at < token.length; at += 97) {
      const changed = Buffer.from(token);
      changed[at]! ^= 1;
      expect(refusalOfAll(domain, changed)).toMatch(/^(malformed|forged|other-domain|wrong-state|skipped)$/);
    }
    expect(refusalOfAll(domain, token.subarray(0, -1))).toBe('malformed');
  });
});

test('a member refuses keys that a dishonest member sealed wrongly, and keeps what it has', () => {
  const domain = new TestDomain();
  const [, hsm] = domain.hsms;
  const owned = domain.identities.get('hsm-1')!;
  const token = forgedToken(domain.prepare(rotation), owned, ({ wrappedKeys: [one, two] }) => {
    const sealed = Buffer.from(two!.sealed);
    sealed[0]! ^= 1;
    return { wrappedKeys: [one!, { ...two!, sealed }] };
  });
  const before = hsm!.keyring();
  expect(refusalOf(() => hsm!.install([token]))).toBe('unwitnessed');
  expect(refusalOf(() => hsm!.install([domain.witnessed(token)]))).toBe('cannot-open');
  expect(hsm!.keyring()).toBe(before);
});

test('a token cut anywhere is malformed', () => {
  const domain = new TestDomain();
  const token = domain.prepare(rotation);
  for (let length = 0; length < token.length; length += 13) {
    expect(refusalOf(() => parseToken(token.subarray(0, length)))).toBe('malformed');
  }
});

function foundingOf(domain: TestDomain) {
  const { state } = parseToken(domain.tokens[0]!);
  const { members, operators, rules, backupHorizonMs } = state;
  return { body: { members: members as NewMember[], operators, rules, backupHorizonMs } };
}

import {
  type Change,
  memberOf,
  refusalOf,
  rotation,
  signedBy,
  TestDomain,
  testSealKey,
  withOtherKeys,
} from '@keyfleet/test-support/domain';
import { describe, expect, test } from 'vitest';
import { TokenEnvelope, tokenHash } from '@keyfleet/shared/domain/token';
import type { Hsm } from './hsm.ts';

describe('membership', () => {
  test('an admitted HSM opens everything that was sealed before it came', () => {
    const domain = new TestDomain();
    domain.rotate();
    const newcomer = domain.newHsm('hsm-3');
    domain.step({ name: 'ModifyMembers', body: { admit: [memberOf(newcomer)], remove: [] } });
    newcomer.install(domain.tokens);
    for (const { id, key } of domain.hsms[0]!.installed!.secrets.domainKeys) {
      expect(newcomer.keyring()!.find(id)!.key.equals(key)).toBe(true);
    }
    expect(newcomer.describe()).toMatchObject({ generation: 3, activeGeneration: 2 });
  });

  test.each([2, 3])(
    'of %i members, those who leave keep their keys if nobody but the maker stays who could tell',
    (count) => {
      const domain = new TestDomain({ members: count });
      const [maker, leaver] = domain.hsms as [Hsm, Hsm];
      const [newcomer, another] = ['hsm-8', 'hsm-9'].map((name) => domain.newHsm(name)) as [Hsm, Hsm];
      const remove = domain.hsms.slice(1).map(({ memberId }) => memberId);
      const replacement = (admit: readonly Hsm[]) =>
        ({ name: 'ModifyMembers', body: { admit: admit.map(memberOf), remove } }) as const;
      const restarted = () => domain.newHsm('hsm-2', leaver.sealedIdentity());
      const all = [...domain.tokens, domain.prepare(replacement([newcomer, another]))];
      for (const hsm of [leaver, restarted()]) expect(refusalOf(() => hsm.install(all))).toBe('forged');
      // It serves nobody, and its keys open again with the token that it has.
      expect([leaver.installed, leaver.state!.generation]).toEqual([undefined, 1]);
      const again = domain.newHsm('hsm-2', leaver.sealedIdentity());
      again.install(domain.tokens);
      expect(again.installed!.state.generation).toBe(1);
      leaver.install(domain.tokens);
      // Nor does a token on top tell, whoever of these makes it.
      for (const hsm of [maker, newcomer, another]) hsm.install(all);
      domain.tokens.push(all[1]!);
      const madeBy = (hsm: Hsm, change: Change) => domain.prepare(change, domain.people, hsm);
      for (const next of [madeBy(maker, rotation), madeBy(newcomer, rotation)])
        for (const hsm of [leaver, restarted()]) expect(refusalOf(() => hsm.install([...all, next]))).toBe('forged');
      // Admitted again, it compares.
      const admit = [memberOf(leaver)];
      leaver.install(domain.tokens.slice(0, 1));
      leaver.install([...all, madeBy(another, { name: 'ModifyMembers', body: { admit, remove: [] } })]);
      expect(leaver.installed!.state.generation).toBe(3);
    },
  );

  test('a member that was away leaves by no tokens of which one has other keys, though it is a member in that', () => {
    const domain = new TestDomain();
    const [maker, away] = domain.hsms as [Hsm, Hsm];
    const newcomer = domain.newHsm('hsm-9');
    const admission = { name: 'ModifyMembers', body: { admit: [memberOf(newcomer)], remove: [] } } satisfies Change;
    const honest = domain.prepare(admission);
    const hostile = withOtherKeys(honest, domain.identities.get('hsm-1')!);
    for (const [token, outcome] of [
      [hostile, 'forged'],
      [honest, 'accepted'],
    ] as const) {
      const removal = { name: 'ModifyMembers', body: { admit: [], remove: ['hsm-2'] } } satisfies Change;
      const hsm = domain.newHsm('hsm-9', newcomer.sealedIdentity());
      hsm.install([...domain.tokens, token]);
      const binding = { generation: 2, previousHash: tokenHash(token), preparer: 'hsm-9' };
      const next = hsm.prepare(signedBy(domain.command(removal, binding), domain.people), token);
      for (const member of [domain.newHsm('hsm-2', away.sealedIdentity()), away])
        expect(refusalOf(() => member.install([...domain.tokens, token, next]))).toBe(outcome);
    }
    expect([maker.state!.generation, away.installed]).toEqual([1, undefined]);
  });

  test('those who leave drop their keys where another stays, or nobody is admitted', () => {
    const removal = (...admit: readonly Hsm[]): Change => ({
      name: 'ModifyMembers',
      body: { admit: admit.map(memberOf), remove: ['hsm-2'] },
    });
    for (const members of [2, 3]) {
      const domain = new TestDomain({ members });
      domain.step(removal());
      expect(domain.hsms[1]!.installed).toBeUndefined();
    }
    const domain = new TestDomain({ members: 3 });
    domain.step(removal(domain.newHsm('hsm-9')));
    expect(domain.hsms[1]!.installed).toBeUndefined();
  });

  test('an HSM that asks to join follows the chain, gets no keys, and forgets what it saw when it restarts', () => {
    const domain = new TestDomain();
    const stranger = domain.newHsm('hsm-3');
    stranger.install(domain.tokens);
    domain.rotate();
    stranger.install(domain.tokens.slice(-1));
    expect(stranger.describe()).toMatchObject({ domain: '', generation: 2, activeGeneration: 0 });
    expect(stranger.keyring()).toBeUndefined();
    expect(domain.newHsm('hsm-3', stranger.sealedIdentity()).describe().generation).toBe(0);
  });

  test('an HSM that holds another token than a checkpoint that was set later does not start with it', () => {
    const domain = new TestDomain();
    const token = domain.rotate();
    const restart = (hash: Buffer) =>
      domain.newHsm('hsm-1', domain.hsms[0]!.sealedIdentity(), undefined, { generation: 2, hash });
    expect(refusalOf(() => restart(Buffer.alloc(32)))).toBe('forked');
    expect(refusalOf(() => restart(tokenHash(token)).install([token]))).toBe('accepted');
  });

  test('an HSM serves no chain that ends before the checkpoint of its trust anchor, or goes another way', () => {
    const domain = new TestDomain();
    domain.rotate();
    const started = (generation: number, token: Buffer): Hsm => {
      const checkpoint = { generation, hash: tokenHash(token) };
      return domain.newHsm('hsm-1', domain.identities.get('hsm-1')!.seal(testSealKey), undefined, checkpoint);
    };
    const behind = started(2, domain.tokens[1]!);
    behind.install(domain.tokens.slice(0, 1));
    expect(behind.installed).toBeUndefined();
    behind.install(domain.tokens);
    expect(behind.installed?.state.generation).toBe(2);
    expect(refusalOf(() => started(1, domain.tokens[1]!).install(domain.tokens))).toBe('forked');
  });

  test('the installed token with another signature is confirmed only if that verifies too', () => {
    const domain = new TestDomain();
    const { body, signature } = TokenEnvelope.decode(domain.tokens[0]!);
    const changed = Buffer.from(signature);
    changed[50]! ^= 1;
    const [hsm] = domain.hsms;
    expect(refusalOf(() => hsm!.install([TokenEnvelope.encode({ body, signature: changed })]))).toBe('forged');
    hsm!.install(domain.tokens);
  });

  test('an HSM with the name of a member and other keys is not that member', () => {
    const domain = new TestDomain();
    const impostor = domain.newHsm('hsm-1');
    impostor.install(domain.tokens);
    expect(impostor.keyring()).toBeUndefined();
  });

  test('removing a member rotates the domain key, and the removed loses all it had', () => {
    const domain = new TestDomain({ members: 3 });
    const erased: string[] = [];
    const removed = domain.newHsm('hsm-3', domain.hsms.pop()!.sealedIdentity(), () => erased.push('hsm-3'));
    removed.install(domain.tokens);
    expect(removed.keyring()).toBeDefined();

    domain.step({ name: 'ModifyMembers', body: { admit: [], remove: ['hsm-3'] } });
    expect(domain.hsms[0]!.installed!.state.domainKeys).toHaveLength(2);
    removed.install(domain.tokens);
    expect(removed.keyring()).toBeUndefined();
    expect(erased).toEqual(['hsm-3']);
    expect(removed.describe()).toMatchObject({ generation: 2, activeGeneration: 0 });
  });

  test('a removed member can be admitted again', () => {
    const domain = new TestDomain({ members: 3 });
    const removed = domain.hsms.pop()!;
    domain.step({ name: 'ModifyMembers', body: { admit: [], remove: ['hsm-3'] } });
    removed.install(domain.tokens);
    domain.step({ name: 'ModifyMembers', body: { admit: [memberOf(removed)], remove: [] } });
    removed.install(domain.tokens);
    expect(removed.describe()).toMatchObject({ generation: 3, activeGeneration: 2 });
  });

  test('one domain change replaces a member that lost its volume by a new HSM of its name', () => {
    const domain = new TestDomain();
    const fresh = domain.newHsm('hsm-2');
    domain.hsms.pop();
    domain.step({ name: 'ModifyMembers', body: { admit: [memberOf(fresh)], remove: ['hsm-2'] } });
    fresh.install(domain.tokens);
    expect(fresh.describe().activeGeneration).toBe(2);
  });

  test('a member cannot make the token that removes it', () => {
    const domain = new TestDomain();
    const removal = { admit: [], remove: ['hsm-1'] };
    expect(refusalOf(() => domain.prepare({ name: 'ModifyMembers', body: removal }))).toBe('invalid-change');
  });
});

describe('leaving a domain', () => {
  const leave = (memberId: string) => ({ name: 'LeaveDomain', body: { memberId } }) as const;

  test('erases the keys and the identity, by quorum', () => {
    const domain = new TestDomain();
    const [hsm] = domain.hsms;
    const before = memberOf(hsm!);
    hsm!.leave(domain.propose(leave('hsm-1'))).succeed();
    expect(hsm!.keyring()).toBeUndefined();
    expect(hsm!.describe()).toMatchObject({ memberId: 'hsm-1', domain: '', generation: 0 });
    expect(memberOf(hsm!)).not.toEqual(before);
    const restarted = domain.newHsm('hsm-1', hsm!.sealedIdentity());
    restarted.install(domain.tokens);
    expect(restarted.keyring()).toBeUndefined();
    expect(refusalOf(() => restarted.leave(domain.propose(leave('hsm-1'))))).toBe('no-domain');
  });

  test('is refused without the quorum, for another member, and for another generation', () => {
    const domain = new TestDomain();
    const [hsm] = domain.hsms;
    const refused = (proposal: Buffer) => refusalOf(() => hsm!.leave(proposal));
    expect(refused(domain.propose(leave('hsm-1'), [domain.alice]))).toBe('not-enough-signatures');
    expect(refused(domain.propose(leave('hsm-2')))).toBe('other-preparer');
    expect(refused(domain.propose(rotation))).toBe('wrong-state');
    const old = domain.propose(leave('hsm-1'));
    domain.rotate();
    expect(refused(old)).toBe('stale');
    expect(hsm!.keyring()).toBeDefined();
  });
});

import {
  type Change,
  memberOf,
  refusalOf,
  rotation,
  TestDomain,
  testSealKey,
  withOtherKeys,
} from '@keyfleet/test-support/domain';
import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { parseToken, TokenEnvelope, tokenHash } from '@keyfleet/shared/domain/token';
import { Hsm } from './hsm.ts';

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

  test('a member that was away leaves by no tokens of which one has other keys, though it is a member in that', () => {
    const domain = new TestDomain({ members: 3 });
    const away = domain.hsms[2]!;
    const newcomer = domain.newHsm('hsm-9');
    const admission = { name: 'ModifyMembers', body: { admit: [memberOf(newcomer)], remove: [] } } satisfies Change;
    const honest = domain.prepare(admission);
    const hostile = domain.witnessed(withOtherKeys(honest, domain.identities.get('hsm-1')!));
    for (const [token, outcome] of [
      [hostile, 'forged'],
      [honest, 'accepted'],
    ] as const) {
      const hsm = domain.newHsm('hsm-9', newcomer.sealedIdentity());
      hsm.install([...domain.tokens, token]);
      domain.tokens.push(token);
      const removal = { name: 'ModifyMembers', body: { admit: [], remove: ['hsm-3'] } } satisfies Change;
      const all = [...domain.tokens, domain.prepare(removal, domain.people, hsm)];
      domain.tokens.pop();
      for (const member of [domain.newHsm('hsm-3', away.sealedIdentity()), away])
        expect(refusalOf(() => member.install(all))).toBe(outcome);
      // Who refused serves nobody, and its keys open again with the token that it has.
      expect([away.installed, away.state!.generation]).toEqual([undefined, outcome === 'forged' ? 1 : 3]);
      const again = domain.newHsm('hsm-3', away.sealedIdentity());
      again.install(outcome === 'forged' ? domain.tokens : all);
      expect(again.installed?.state.generation).toBe(outcome === 'forged' ? 1 : undefined);
    }
  });

  test.each([
    ['another member stays', 3, ['hsm-2'], {}],
    ['its maker stays alone', 3, ['hsm-2', 'hsm-3'], {}],
    ['people signed that the word of its maker is enough', 2, ['hsm-2'], { unwitnessed: true }],
  ] as const)('who leaves drops its keys where %s', (_where, members, remove, witness) => {
    const domain = new TestDomain({ members });
    const admit = 'unwitnessed' in witness ? [memberOf(domain.newHsm('hsm-9'))] : [];
    const restarted = domain.newHsm('hsm-2', domain.hsms[1]!.sealedIdentity());
    domain.step({ name: 'ModifyMembers', body: { admit, remove: [...remove] }, ...witness });
    restarted.install(domain.tokens);
    for (const leaver of [domain.hsms[1]!, restarted]) expect(leaver.installed).toBeUndefined();
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

  test('an HSM that has gone on from another one since does not start either, as far as it has kept its tokens', () => {
    const domain = new TestDomain();
    for (let i = 0; i < 3; i++) domain.rotate();
    const restart = (generation: number, hash: Buffer, heldTokens: readonly Buffer[] = domain.tokens) =>
      new Hsm({
        memberId: 'hsm-1',
        anchor: { ...domain.anchor, checkpoint: { generation, hash } },
        sealKey: testSealKey,
        clock: domain.clock,
        random: randomBytes,
        sealedIdentity: domain.hsms[0]!.sealedIdentity(),
        heldTokens,
      });
    for (const generation of [1, 2, 3, 4]) {
      expect(refusalOf(() => restart(generation, Buffer.alloc(32)))).toBe('forked');
      expect(refusalOf(() => restart(generation, tokenHash(domain.tokens[generation - 1]!)))).toBe('accepted');
    }
    // What it has forgotten it cannot compare.
    expect(refusalOf(() => restart(2, Buffer.alloc(32), domain.tokens.slice(2)))).toBe('accepted');
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
    const { body, signature } = parseToken(domain.tokens[0]!);
    const changed = Buffer.from(signature);
    changed[50]! ^= 1;
    const [hsm] = domain.hsms;
    expect(refusalOf(() => hsm!.install([TokenEnvelope.encode({ body, signature: changed })]))).toBe('forged');
    hsm!.install(domain.tokens);
  });

  test('the installed token without its witness is not for the shell to keep in place of what it has', () => {
    const domain = new TestDomain();
    const [first] = domain.hsms as [Hsm];
    const next = domain.prepare(rotation);
    const restarted = domain.newHsm('hsm-1', first.sealedIdentity());
    const { made } = parseToken(domain.tokens[0]!);
    for (const hsm of [first, restarted]) {
      expect(hsm.install([made])).toEqual([]);
      expect(hsm.install([made, next]).map(({ bytes }) => bytes)).toEqual([next]);
    }
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

  test.each([
    [3, false],
    [2, true],
  ])(
    'one change replaces one of %i members, which lost its volume, by a new HSM of its name',
    (members, unwitnessed) => {
      const domain = new TestDomain({ members });
      const fresh = domain.newHsm('hsm-2');
      domain.hsms.splice(1, 1);
      const body = { admit: [memberOf(fresh)], remove: ['hsm-2'] };
      domain.step({ name: 'ModifyMembers', body, unwitnessed });
      fresh.install(domain.tokens);
      expect(fresh.describe().activeGeneration).toBe(2);
    },
  );

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

import {
  memberOf,
  refusalOf,
  rotation,
  sealedForNobody,
  sealedNotFor,
  TestDomain,
  testSealKey,
  withOtherKeys,
  wrappedBy,
} from '@keyfleet/test-support/domain';
import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { verifyChain } from '@keyfleet/shared/domain/chain';
import { parseToken, type WrappedKey } from '@keyfleet/shared/domain/token';
import { placeOf, verifyCheck } from '@keyfleet/shared/domain/token-check';
import { ACTIVATION_DELAY_MS } from './domain/installed-domain.ts';
import { wrapDkek } from './domain/wrapped-dkek.ts';
import { Hsm } from './hsm.ts';
import { newSealKey } from './seal-key.ts';
import { atOnce } from './steps.ts';

describe('a member', () => {
  test('founds a domain whose members share one active domain key', () => {
    const { hsms, tokens, anchor } = new TestDomain({ members: 3 });
    const [first, ...others] = hsms.map((hsm) => hsm.keyring()!);
    for (const keyring of others) {
      expect(keyring.active.key.equals(first!.active.key)).toBe(true);
      expect(keyring.materialIdKey.equals(first!.materialIdKey)).toBe(true);
    }
    expect(hsms[0]!.describe()).toMatchObject({ domain: 'test', generation: 1, activeGeneration: 1 });
    expect(hsms[2]!.describe().tokenHash).toEqual(verifyChain(anchor, tokens).hash);
  });

  test('preparing a token changes nothing in the member that makes it', () => {
    const domain = new TestDomain();
    const before = domain.hsms[0]!.describe();
    domain.prepare(rotation);
    expect(domain.hsms[0]!.describe()).toEqual(before);
    expect(new TestDomain().newHsm('hsm-9').describe()).toMatchObject({ domain: '', generation: 0 });
  });

  test('another member opens a token before it is stored, and changes nothing by that', async () => {
    const domain = new TestDomain();
    const [maker, witness] = domain.hsms as [Hsm, Hsm];
    const token = domain.prepare(rotation);
    const { installed } = witness;
    witness.check(token);
    expect(witness.installed).toBe(installed);
    const rubbish = await sealedForNobody(token, (body) => domain.identities.get(maker.memberId)!.sign(body));
    expect(refusalOf(() => witness.check(rubbish))).toBe('cannot-open');
    expect(refusalOf(() => domain.newHsm('hsm-9').check(token))).toBe('skipped');
    witness.install([token]);
    maker.install([token]);
    domain.tokens.push(token);
    const stranger = domain.newHsm('hsm-9');
    stranger.install(domain.tokens);
    expect(refusalOf(() => stranger.check(domain.prepare(rotation)))).toBe('cannot-open');
  });

  test('makes the wrapped keys of a token again once, however often it is asked about that', () => {
    const domain = new TestDomain({ members: 3 });
    const [maker, witness] = domain.hsms as [Hsm, Hsm];
    const token = domain.prepare(rotation);
    const stepsOf = (hsm: Hsm, of: Buffer) => [...hsm.checking(of)].length;
    expect([stepsOf(witness, token), stepsOf(witness, token)]).toEqual([3, 0]);
    expect(witness.check(token)).toEqual(witness.check(token));
    const another = domain.prepare(rotation, domain.people, domain.hsms[2]);
    expect(stepsOf(witness, another)).toBe(3);
    for (const hsm of [maker, witness]) hsm.install([token]);
    expect(
      refusalOf(() =>
        verifyCheck(witness.check(another), [memberOf(witness)], { domain: 'test', ...placeOf(parseToken(another)) }),
      ),
    ).toBe('forked');
  });

  test('confirms no token beside one that it installed while it checked that', () => {
    const domain = new TestDomain({ members: 3 });
    const [, second, witness] = domain.hsms as [Hsm, Hsm, Hsm];
    const fork = domain.prepare(rotation, domain.people, second);
    const steps = witness.checking(fork);
    steps.next();
    witness.install([domain.prepare(rotation)]);
    expect(refusalOf(() => atOnce(steps))).toBe('stale');
  });

  test('confirms what it has installed, and says under its signature that it has another one', () => {
    const domain = new TestDomain({ members: 3 });
    const [first, second, third] = domain.hsms as [Hsm, Hsm, Hsm];
    const fork = domain.prepare(rotation, domain.people, second);
    const token = domain.prepare(rotation);
    third.install([token]);
    const restarted = domain.newHsm('hsm-3', third.sealedIdentity());
    const members = [memberOf(third)];
    const answer = (hsm: Hsm, to: Buffer) => () =>
      verifyCheck(hsm.check(to), members, { domain: 'test', ...placeOf(parseToken(to)) });
    for (const hsm of [third, restarted]) {
      answer(hsm, token)();
      expect(answer(hsm, fork)).toThrow('hsm-3 signs that it holds another domain token 2');
      expect(answer(hsm, domain.tokens[0]!)).toThrow('hsm-3 signs that it holds another domain token 2');
    }
    first.install([token]);
    domain.tokens.push(token);
    // Whoever only asks to join holds nothing.
    const newcomer = domain.newHsm('hsm-9');
    newcomer.install(domain.tokens);
    expect(refusalOf(() => newcomer.check(fork))).toBe('forked');
  });

  test('confirms no token that another member cannot open, nor one of which it cannot tell', () => {
    const domain = new TestDomain({ members: 4 });
    const owned = domain.identities.get('hsm-1')!;
    const [maker, witness] = domain.hsms as [Hsm, Hsm];
    const token = domain.prepare(rotation);
    witness.check(token);
    for (const victims of [['hsm-4'], ['hsm-1', 'hsm-3']]) {
      const hostile = sealedNotFor(victims, token, owned);
      expect(() => witness.check(hostile)).toThrow(`the token is sealed for ${victims.join(', ')} otherwise`);
      expect(
        refusalOf(() => domain.newHsm('hsm-2', witness.sealedIdentity()).install([...domain.tokens, hostile])),
      ).toBe('accepted');
    }
    // Each part is what the DKEK makes it: nobody else could check another that opens as well.
    const parts: (Partial<WrappedKey> | ((made: WrappedKey) => Partial<WrappedKey>))[] = [
      { iv: randomBytes(12) },
      { ephemeralKey: maker.describe().agreementKey },
      { encapsulated: randomBytes(1568) },
      ({ sealed }) => ({ sealed: sealed.with(47, sealed[47]! ^ 1) }),
    ];
    for (const part of parts) {
      const hostile = wrappedBy(token, owned, (dkek, member, state) => {
        const made = wrapDkek(dkek, member, state);
        return member.memberId === 'hsm-3' ? { ...made, ...(typeof part === 'function' ? part(made) : part) } : made;
      });
      expect(refusalOf(() => witness.check(hostile))).toBe('forged');
    }
  });

  test('neither takes other keys under the ids of its own nor confirms them, not even after a restart', () => {
    const domain = new TestDomain();
    const [maker, member] = domain.hsms as [Hsm, Hsm];
    const hostile = withOtherKeys(domain.prepare(rotation), domain.identities.get(maker.memberId)!);
    expect(refusalOf(() => member.check(hostile))).toBe('forged');
    expect(refusalOf(() => member.install([hostile]))).toBe('forged');
    const restarted = domain.newHsm(member.memberId, member.sealedIdentity());
    expect(refusalOf(() => restarted.check(hostile))).toBe('no-domain');
    expect(refusalOf(() => restarted.install([...domain.tokens, hostile]))).toBe('forged');
    expect(
      refusalOf(() => restarted.install([hostile])),
      'nothing to compare with',
    ).toBe('no-domain');
    // Nor when the token after it holds them, too.
    domain.tokens.push(hostile);
    const makingMore = domain.newHsm(maker.memberId, domain.identities.get(maker.memberId)!.seal(testSealKey));
    makingMore.install(domain.tokens);
    const next = domain.prepare(rotation, domain.people, makingMore);
    expect(refusalOf(() => restarted.install([...domain.tokens, next]))).toBe('forged');
  });

  test('a domain key opens what it sealed after every rotation, and material ids stay what they were', () => {
    const domain = new TestDomain();
    const before = domain.hsms[1]!.keyring()!;
    domain.rotate();
    domain.rotate();
    const after = domain.hsms[1]!.keyring()!;
    expect(after.find(before.active.id)!.key.equals(before.active.key)).toBe(true);
    expect(after.materialIdKey.equals(before.materialIdKey)).toBe(true);
    expect(domain.hsms[1]!.installed!.state.domainKeys.map(({ status }) => status)).toEqual([
      'deactivated',
      'deactivated',
      'active',
    ]);
  });

  test('tokens already installed, and older ones, change nothing when they come again', () => {
    const domain = new TestDomain();
    domain.rotate();
    const [hsm] = domain.hsms;
    const installed = hsm!.installed;
    hsm!.install(domain.tokens);
    expect(hsm!.installed).toBe(installed);
  });

  test('one that was away for several rotations catches up in one step', () => {
    const domain = new TestDomain();
    const away = domain.hsms.pop()!;
    for (let i = 0; i < 3; i++) domain.rotate();
    expect(refusalOf(() => away.install(domain.tokens.slice(-1)))).toBe('skipped');
    away.install(domain.tokens.slice(1));
    expect(away.describe().generation).toBe(4);
  });
});

describe('the new domain key of a rotation', () => {
  test('is held at once, and seals after the activation of its generation', () => {
    const domain = new TestDomain();
    const [hsm] = domain.hsms;
    const old = hsm!.keyring()!.active.id;
    domain.rotate();
    expect(hsm!.keyring()!.active.id).toBe(old);
    expect(hsm!.describe()).toMatchObject({ generation: 2, activeGeneration: 1 });

    hsm!.activate(1);
    expect(hsm!.describe().activeGeneration).toBe(1);
    hsm!.activate(2);
    expect(hsm!.keyring()!.active.id).not.toBe(old);
    hsm!.activate(1);
    expect(hsm!.describe().activeGeneration).toBe(2);
  });

  test('seals a minute after it was installed when the activation is lost, however often domain keys rotate', () => {
    const domain = new TestDomain();
    const [hsm] = domain.hsms;
    domain.rotate();
    domain.clock.advance(ACTIVATION_DELAY_MS - 1);
    domain.rotate();
    expect(hsm!.describe().activeGeneration).toBe(1);
    domain.clock.advance(1);
    expect(hsm!.keyring()!.active.id).toBe(hsm!.installed!.state.domainKeys[2]!.id);
    expect(hsm!.describe().activeGeneration).toBe(3);
  });

  test.each(['drop', 'retire'] as const)('seals at once when the key before it goes: %s', (end) => {
    const domain = new TestDomain();
    const first = domain.hsms[0]!.keyring()!.active.id;
    domain.rotate();
    domain[end](first);
    expect(domain.hsms[0]!.describe().activeGeneration).toBe(2);
    expect(domain.hsms[0]!.keyring()!.find(first)).toBeUndefined();
  });

  test('seals at once when a member was removed, who knows the key before it', () => {
    const domain = new TestDomain();
    const [hsm, removed] = domain.hsms;
    const known = removed!.keyring()!.active.id;
    domain.hsms.pop();
    domain.step({ name: 'ModifyMembers', body: { admit: [], remove: ['hsm-2'] } });
    expect(hsm!.keyring()!.active.id).not.toBe(known);
    expect(hsm!.describe().activeGeneration).toBe(2);
  });

  test('seals at once also when the member learns of the removal together with a later rotation', () => {
    const domain = new TestDomain({ members: 3 });
    const late = domain.hsms.pop()!;
    domain.step({ name: 'ModifyMembers', body: { admit: [], remove: ['hsm-2'] } }, domain.people);
    domain.rotate();
    late.install(domain.tokens);
    expect(late.describe().activeGeneration).toBe(3);
  });

  test('seals at once after a restart, so that no member goes back to a key it had stopped using', () => {
    const domain = new TestDomain();
    domain.rotate();
    const restarted = domain.newHsm('hsm-1', domain.hsms[0]!.sealedIdentity());
    restarted.install(domain.tokens.slice(-1));
    expect(restarted.describe().activeGeneration).toBe(2);
  });
});

describe('a restarted member', () => {
  test('has the same keys after its newest token alone', () => {
    const domain = new TestDomain();
    domain.rotate();
    const before = domain.hsms[0]!;
    const restarted = domain.newHsm('hsm-1', before.sealedIdentity());
    expect(memberOf(restarted)).toEqual(memberOf(before));
    expect(restarted.keyring()).toBeUndefined();
    expect(restarted.describe().generation).toBe(1);
    restarted.install(domain.tokens.slice(restarted.describe().generation));
    expect(restarted.keyring()!.active.key.equals(before.installed!.secrets.domainKeys[1]!.key)).toBe(true);
  });

  test('refuses to go back to an older token, and takes a newer one', () => {
    const domain = new TestDomain();
    domain.rotate();
    const sealed = domain.hsms[0]!.sealedIdentity();
    expect(refusalOf(() => domain.newHsm('hsm-1', sealed).install(domain.tokens.slice(0, 1)))).toBe('rolled-back');
    domain.rotate();
    const restarted = domain.newHsm('hsm-1', sealed);
    restarted.install(domain.tokens);
    expect(restarted.describe().generation).toBe(3);
  });

  test('refuses another token of its own generation, and whatever follows that one', () => {
    const domain = new TestDomain();
    const [first] = domain.tokens;
    const twin = domain.prepare(rotation, domain.people, domain.hsms[1]);
    domain.rotate();
    const restarted = domain.newHsm('hsm-1', domain.hsms[0]!.sealedIdentity());
    const next = domain.rotate();
    expect(refusalOf(() => restarted.install([first!, twin]))).toBe('forked');
    expect(refusalOf(() => restarted.install([first!, twin, next]))).toBe('forked');
    expect(refusalOf(() => restarted.install([domain.tokens[1]!, twin]))).toBe('forked');
    expect(restarted.keyring()).toBeUndefined();
  });

  test('opens only under its seal key, its name and its domain', () => {
    const domain = new TestDomain();
    const sealed = domain.hsms[0]!.sealedIdentity();
    const options = { memberId: 'hsm-1', anchor: domain.anchor, clock: domain.clock, random: randomBytes };
    const otherSealKey = newSealKey(Buffer.alloc(32, 8), randomBytes);
    expect(refusalOf(() => new Hsm({ ...options, sealKey: otherSealKey, sealedIdentity: sealed }))).toBe('cannot-open');
    expect(refusalOf(() => domain.newHsm('hsm-2', sealed))).toBe('cannot-open');
    expect(refusalOf(() => new TestDomain({ name: 'other' }).newHsm('hsm-1', sealed))).toBe('other-domain');
  });

  test('does not come back from an identity with any byte changed, or cut anywhere', () => {
    const domain = new TestDomain();
    const sealed = domain.hsms[0]!.sealedIdentity();
    for (let at = 0; at < sealed.length; at += 7) {
      const changed = Buffer.from(sealed);
      changed[at]! ^= 1;
      expect(refusalOf(() => domain.newHsm('hsm-1', changed))).toMatch(/malformed|cannot-open/);
      expect(refusalOf(() => domain.newHsm('hsm-1', sealed.subarray(0, at)))).toBe('malformed');
    }
  });
});

describe('what a member refuses to prepare', () => {
  test('a founding when it already has a domain, and a change when it has none', () => {
    const domain = new TestDomain();
    const proposal = domain.propose(rotation);
    expect(refusalOf(() => domain.hsms[0]!.prepare(proposal))).toBe('already-in-domain');
    expect(refusalOf(() => domain.newHsm('hsm-9').prepare(proposal, domain.tokens[0]))).toBe('no-domain');
  });

  test('a change of another token than the installed one', () => {
    const domain = new TestDomain();
    domain.rotate();
    const proposal = domain.propose(rotation);
    expect(refusalOf(() => domain.hsms[0]!.prepare(proposal, domain.tokens[0]))).toBe('stale');
  });

  test('dropping a domain key that is active, unknown, or that a backup may need', () => {
    const domain = new TestDomain({ backupHorizonMs: 1000 });
    const drop = (id: string) => refusalOf(() => domain.prepare({ name: 'DropDomainKeys', body: { ids: [id] } }));
    const first = domain.hsms[0]!.keyring()!.active.id;
    expect(drop(first)).toBe('invalid-change');
    expect(drop('00'.repeat(16))).toBe('invalid-change');
    domain.clock.advance(5000);
    domain.rotate();
    domain.clock.advance(999);
    expect(drop(first)).toBe('too-young');
    domain.clock.advance(-1_000_000);
    expect(drop(first)).toBe('from-the-future');
    domain.clock.advance(1_000_001);
    expect(drop(first)).toBe('accepted');
  });

  test('dropping or reinstating domain keys by the word of the scheduler, which may retire them', () => {
    const domain = new TestDomain({ members: 3 });
    const ids = [domain.hsms[0]!.keyring()!.active.id];
    domain.hsms.pop();
    domain.step({ name: 'ModifyMembers', body: { admit: [], remove: ['hsm-3'] } });
    const byScheduler = (name: 'DropDomainKeys' | 'RetireDomainKeys' | 'ReinstateDomainKeys') =>
      refusalOf(() => domain.prepare({ name, body: { ids } }, [domain.scheduler]));
    expect(byScheduler('DropDomainKeys')).toBe('not-enough-signatures');
    expect(byScheduler('RetireDomainKeys')).toBe('accepted');
    domain.retire(...ids);
    expect(byScheduler('ReinstateDomainKeys')).toBe('not-enough-signatures');
    expect(byScheduler('DropDomainKeys')).toBe('not-enough-signatures');
  });

  test('a proposal that names another member', () => {
    const domain = new TestDomain();
    const [first, second] = domain.hsms;
    const forFirst = domain.propose(rotation, domain.people, first);
    expect(refusalOf(() => second!.prepare(forFirst, domain.tokens.at(-1)))).toBe('other-preparer');
  });
});

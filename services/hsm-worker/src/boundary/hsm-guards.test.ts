import {
  type Change,
  memberOf,
  newOperator,
  publicPart,
  refusalOf,
  rotation,
  TestClock,
  TestDomain,
  testRules,
  testSealKey,
} from '@keyfleet/test-support/domain';
import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { Proposal } from '@keyfleet/shared/domain/proposal';
import { CHANGEOVER_MS } from '@keyfleet/shared/domain/state';
import { parseToken } from '@keyfleet/shared/domain/token';
import { SESSION_MS } from '@keyfleet/shared/hsm/session';
import { CredentialToken } from './tokens/stored-token.ts';
import { openToken, sealToken } from './tokens/sealed-token.ts';
import { type Keyring, MAX_SEALINGS, newKeyring, type Sealings } from './domain/keyring.ts';
import { ROTATION_PAUSE_MS } from './domain/prepare-token.ts';
import { Hsm } from './hsm.ts';

describe('a member makes one token of a generation', () => {
  const another: Change = { name: 'ModifyOperators', body: { admit: [], remove: ['carol'] } };

  test('and gives the same bytes again for every later request', () => {
    const domain = new TestDomain();
    const token = domain.prepare(rotation);
    expect(domain.prepare(rotation).equals(token)).toBe(true);
    expect(domain.prepare(another).equals(token)).toBe(true);
    expect(refusalOf(() => domain.prepare(another, [domain.alice]))).toBe('not-enough-signatures');
  });

  test('also after a restart, and the founding token too', () => {
    const domain = new TestDomain();
    const token = domain.prepare(rotation);
    const restarted = domain.newHsm('hsm-1', domain.hsms[0]!.sealedIdentity());
    restarted.install(domain.tokens);
    expect(domain.prepare(another, domain.people, restarted).equals(token)).toBe(true);

    const founding = new TestDomain();
    const [proposal] = [founding.propose({ name: 'CreateDomain', body: foundingBody(founding) })];
    expect(refusalOf(() => founding.hsms[0]!.prepare(proposal))).toBe('already-in-domain');
  });

  test('until that generation is there, by this token or another', () => {
    const domain = new TestDomain();
    const unused = domain.prepare(rotation);
    domain.step(another, domain.people, domain.hsms[1]);
    const next = domain.prepare(rotation);
    expect(parseToken(next).state.generation).toBe(3);
    expect(next.equals(unused)).toBe(false);
  });

  test('and none beside one that its clock, when it was wrong, dated ahead: somebody may bring that when its time comes', () => {
    const domain = new TestDomain({ members: 3 });
    const [a, b, c] = domain.hsms;
    domain.clock.advance(3_600_000);
    const ahead = domain.prepare(rotation, domain.people, a);
    domain.clock.advance(-3_600_000);
    expect(refusalOf(() => domain.prepare(rotation, domain.people, a))).toBe('from-the-future');
    const restarted = domain.newHsm('hsm-1', a!.sealedIdentity());
    restarted.install(domain.tokens);
    expect(refusalOf(() => domain.prepare(another, domain.people, restarted))).toBe('from-the-future');

    // Another member makes the token of that generation; then this one may make the next.
    domain.step(another, domain.people, b);
    expect(parseToken(domain.prepare(rotation, domain.people, a)).state.generation).toBe(3);
    domain.clock.advance(3_600_000);
    expect(refusalOf(() => c!.install([ahead]))).toBe('forked');
  });

  test('and the token that it dated ahead itself, once its time has come', () => {
    const domain = new TestDomain({ members: 3 });
    domain.clock.advance(3_600_000);
    const ahead = domain.prepare(rotation);
    domain.clock.advance(-600_000);
    expect(domain.prepare(another).equals(ahead)).toBe(true);
  });

  test('but a sole member, beside which nobody takes any, makes another', () => {
    const domain = new TestDomain({ members: 1 });
    domain.clock.advance(10 * YEAR);
    const [ahead] = [domain.prepare(rotation)];
    domain.clock.advance(-10 * YEAR);
    expect(domain.prepare(rotation).equals(ahead)).toBe(false);
    domain.rotate();
    expect(domain.hsms[0]!.describe().generation).toBe(2);
  });

  test('a sole member as well, when the token that it dated ahead admits another', () => {
    const domain = new TestDomain({ members: 1 });
    const newcomer = domain.newHsm('hsm-2');
    domain.clock.advance(3_600_000);
    domain.prepare({ name: 'ModifyMembers', body: { admit: [memberOf(newcomer)], remove: [] } });
    domain.clock.advance(-3_600_000);
    expect(refusalOf(() => domain.prepare(rotation))).toBe('from-the-future');
  });
});

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

const YEAR = 365 * 86_400_000;

function foundingBody(domain: TestDomain) {
  const { operators, rules } = domain.hsms[0]!.installed!.state;
  return { members: domain.hsms.map(memberOf), operators, rules, backupHorizonMs: 0 };
}

describe('what a stranger who reaches every port may try', () => {
  test('the proposal of a stored token forks nobody: it is for its preparer, which gives the stored token', () => {
    const domain = new TestDomain({ members: 3 });
    const [a, b, c] = domain.hsms;
    const honest = domain.prepare(rotation, domain.people, a);
    const proposal = Proposal.encode(parseToken(honest).proposal);
    for (const victim of [b!, c!]) {
      expect(refusalOf(() => victim.prepare(proposal, domain.tokens[0]))).toBe('other-preparer');
    }
    expect(a!.prepare(proposal, domain.tokens[0]).equals(honest)).toBe(true);
    for (const hsm of domain.hsms) hsm.install([honest]);
    expect(new Set(domain.hsms.map((hsm) => hsm.keyring()!.active.id)).size).toBe(1);
  });
});

describe('a worker whose clock is wrong', () => {
  /** The first member again, with its clock ahead of the others'. */
  function ahead(domain: TestDomain, by: number): Hsm {
    const clock = new TestClock();
    clock.time = domain.clock.now() + by;
    const sealedIdentity = domain.hsms[0]!.sealedIdentity();
    const hsm = new Hsm({
      memberId: 'hsm-1',
      anchor: domain.anchor,
      sealKey: testSealKey,
      clock,
      random: randomBytes,
      sealedIdentity,
    });
    hsm.install(domain.tokens);
    return hsm;
  }

  test('dates a token ahead, which no other member takes', () => {
    const domain = new TestDomain();
    const token = domain.prepare(rotation, domain.people, ahead(domain, 10 * YEAR));
    expect(refusalOf(() => domain.hsms[1]!.install([token]))).toBe('from-the-future');
    expect(domain.hsms[1]!.describe().generation).toBe(1);
    domain.clock.advance(10 * YEAR - 600_000);
    expect(refusalOf(() => domain.hsms[1]!.install([token]))).toBe('accepted');
  });

  test('ends no session of the others by a rotation that it dates back', () => {
    const domain = new TestDomain({ members: 3 });
    const [, b] = domain.hsms;
    const old = b!.keyring()!.active.id;
    const late = ahead(domain, 0);
    domain.clock.advance(86_400_000);
    domain.tokens.push(domain.prepare(rotation, domain.people, late));
    b!.install(domain.tokens);
    expect(b!.installed!.state.domainKeys[1]!.createdAt).toBe(b!.installed!.state.domainKeys[0]!.createdAt);
    expect(b!.keyring()!.active.id).toBe(old);
    expect(b!.installed!.takesSessionsUnder(old)).toBe(true);
    domain.clock.advance(SESSION_MS + CHANGEOVER_MS - 1);
    expect(b!.installed!.takesSessionsUnder(old)).toBe(true);
    domain.clock.advance(1);
    expect(b!.installed!.takesSessionsUnder(old)).toBe(false);
  });

  test('drops no domain key before its time', () => {
    const domain = new TestDomain({ backupHorizonMs: 7 * 86_400_000 });
    domain.rotate();
    const old = domain.hsms[0]!.installed!.state.domainKeys[0]!.id;
    const drop: Change = { name: 'DropDomainKeys', body: { ids: [old] } };
    const token = domain.prepare(drop, domain.people, ahead(domain, 8 * 86_400_000));
    expect(refusalOf(() => domain.hsms[1]!.install([token]))).toBe('from-the-future');
    expect(domain.hsms[1]!.keyring()!.find(old)).toBeDefined();
  });

  test('prepares nothing while the newest token is from its future, and then does', () => {
    const domain = new TestDomain();
    domain.clock.advance(3_600_000);
    domain.rotate();
    const late = ahead(domain, -3_600_000);
    expect(refusalOf(() => domain.prepare(rotation, domain.people, late))).toBe('from-the-future');
    const slightlyLate = ahead(domain, -300_000);
    const token = domain.prepare(rotation, domain.people, slightlyLate);
    expect(parseToken(token).state.madeAt).toBe(domain.hsms[0]!.installed!.state.madeAt);
    expect(refusalOf(() => domain.hsms[1]!.install([token]))).toBe('accepted');
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
  domain.step({ name: 'ModifyMembers', body: { admit: [memberOf(fresh)], remove: ['hsm-1'] } });
  fresh.install(domain.tokens);
  expect(fresh.describe().generation).toBe(2);
  expect(refusalOf(() => fresh.prepare(recorded, domain.tokens.at(-1)))).toBe('forked');
});

describe('a retired domain key', () => {
  test('opens nothing, not even for resealing, until people reinstate it', () => {
    const domain = new TestDomain();
    const [hsm] = domain.hsms;
    const known = hsm!.keyring()!;
    const nonce = randomBytes;
    const header = { accessKeyId: 'AKIA', principal: 'arn:aws:iam::111122223333:user/eve' };
    const token = sealToken(CredentialToken, { header, secret: Buffer.alloc(40) }, { keyring: known, nonce });
    domain.rotate();
    domain.retire(known.active.id);
    expect(() => openToken(CredentialToken, token, hsm!.keyring()!)).toThrow('retired-domain-key');
    domain.step({ name: 'ReinstateDomainKeys', body: { ids: [known.active.id] } });
    expect(openToken(CredentialToken, token, hsm!.keyring()!).secret).toEqual(Buffer.alloc(40));
  });

  test('makes the member forget what it had opened', () => {
    const domain = new TestDomain();
    let forgotten = 0;
    const hsm = domain.newHsm('hsm-1', domain.hsms[0]!.sealedIdentity(), () => forgotten++);
    hsm.install(domain.tokens);
    const old = hsm.keyring()!.active.id;
    hsm.install([domain.rotate()]);
    expect(forgotten).toBe(0);
    hsm.install([domain.retire(old)]);
    expect(forgotten).toBe(1);
    hsm.install([domain.drop(old)]);
    expect(forgotten).toBe(1);
  });
});

test('a member seals no more than 2^32 times under one domain key, whatever is installed meanwhile', () => {
  const state = new TestDomain().hsms[0]!.installed!;
  const sealings: Sealings = new Map([[state.keyring.active.id, MAX_SEALINGS - 1]]);
  const keyring = newKeyring(state, 1, sealings);
  keyring.countSealing();
  expect(() => keyring.countSealing()).toThrow('overloaded');

  const domain = new TestDomain();
  const [hsm] = domain.hsms;
  const header = { accessKeyId: 'AKIA', principal: 'arn:aws:iam::111122223333:user/eve' };
  const full: Keyring = { ...hsm!.keyring()!, countSealing: () => keyring.countSealing() };
  const seal = () =>
    sealToken(CredentialToken, { header, secret: Buffer.alloc(40) }, { keyring: full, nonce: randomBytes });
  expect(seal).toThrow('overloaded');
});

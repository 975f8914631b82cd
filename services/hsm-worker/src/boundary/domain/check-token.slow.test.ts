import {
  type Change,
  memberOf,
  refusalOf,
  rotation,
  sealedForNobody,
  sealedNotFor,
  TestClock,
  TestDomain,
  testRules,
  testSealKey,
  withOtherKeys,
  wrappedBy,
} from '@keyfleet/test-support/domain';
import { checkedBy } from '@keyfleet/test-support/token-verdict';
import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { nextState } from '@keyfleet/shared/domain/apply';
import { parseDomainChange, parseProposal, Proposal } from '@keyfleet/shared/domain/proposal';
import type { Rule } from '@keyfleet/shared/domain/state';
import { parseToken, withWitness, type WrappedKey } from '@keyfleet/shared/domain/token';
import { assertChecked, assertHoldsNoOther, placeOf } from '@keyfleet/shared/domain/token-check';
import { ROTATION_PAUSE_MS } from '@keyfleet/shared/domain/valid-state';
import { Hsm, type HsmOptions } from '../hsm.ts';
import { atOnce } from '../steps.ts';
import { domainKeyIdOf, newSecretKey } from './domain-secrets.ts';
import { sealDomainToken } from './domain-token.ts';
import { wrapDkek } from './wrapped-dkek.ts';

/** Throws unless the member confirms the token by its signature; HeldTokenError if it says that it holds another. */
function answerOf(hsm: Hsm, to: Buffer): void {
  const [answer, member] = [checkedBy(hsm, to), memberOf(hsm)];
  const asked = { domain: 'test', ...placeOf(parseToken(to)) };
  assertHoldsNoOther(answer, [member], asked);
  assertChecked(answer, [member], asked);
}

describe('a member that is asked about a token', () => {
  test('another member opens a token before it is stored, and changes nothing by that', async () => {
    const domain = new TestDomain();
    const [maker, witness] = domain.hsms as [Hsm, Hsm];
    const token = domain.prepare(rotation);
    const { installed } = witness;
    const rubbish = await sealedForNobody(token, (body) => domain.identities.get(maker.memberId)!.sign(body));
    expect(refusalOf(() => checkedBy(witness, rubbish))).toBe('cannot-open');
    checkedBy(witness, token);
    expect(witness.installed).toBe(installed);
    expect(refusalOf(() => checkedBy(domain.newHsm('hsm-9'), token))).toBe('skipped');
    witness.install([token]);
    maker.install([token]);
    domain.tokens.push(token);
    const stranger = domain.newHsm('hsm-9');
    stranger.install(domain.tokens);
    expect(refusalOf(() => checkedBy(stranger, domain.prepare(rotation)))).toBe('cannot-open');
  });

  test('its word is the witness without which nobody installs the token, the maker neither', () => {
    const domain = new TestDomain();
    const [maker, witness] = domain.hsms as [Hsm, Hsm];
    const { made } = parseToken(domain.prepare(rotation));
    for (const hsm of [maker, witness]) expect(refusalOf(() => hsm.install([made]))).toBe('unwitnessed');
    const token = withWitness({ made }, checkedBy(witness, made));
    for (const hsm of [maker, witness]) hsm.install([token]);
    expect(witness.installed!.state.generation).toBe(2);
  });

  test('a worker without a domain, which it founds with others, confirms the first token', () => {
    const domain = new TestDomain();
    const { proposal } = parseToken(domain.tokens[0]!);
    const fresh = (id: string) => domain.newHsm(id, domain.identities.get(id)!.seal(testSealKey));
    const [maker, witness] = [fresh('hsm-1'), fresh('hsm-2')];
    const made = maker.prepare(Proposal.encode(proposal));
    for (const hsm of [maker, witness]) expect(refusalOf(() => hsm.install([made]))).toBe('unwitnessed');
    expect(refusalOf(() => checkedBy(domain.newHsm('hsm-9'), made))).toBe('cannot-open');
    const token = withWitness({ made }, checkedBy(witness, made));
    for (const hsm of [maker, witness]) hsm.install([token]);
    expect(witness.installed!.state.generation).toBe(1);
  });

  test('makes the wrapped keys of a token again once, however often it is asked about that', () => {
    const domain = new TestDomain({ members: 3 });
    const [maker, witness] = domain.hsms as [Hsm, Hsm];
    const token = domain.prepare(rotation);
    const stepsOf = (hsm: Hsm, of: Buffer) => [...hsm.checking(of)].length;
    expect([stepsOf(witness, token), stepsOf(witness, token)]).toEqual([3, 0]);
    expect(checkedBy(witness, token)).toEqual(checkedBy(witness, token));
    const another = domain.prepare(rotation, domain.people, domain.hsms[2]);
    expect(stepsOf(witness, another)).toBe(3);
    for (const hsm of [maker, witness]) hsm.install([token]);
    expect(refusalOf(() => answerOf(witness, another))).toBe('forked');
  });

  test('confirms one token of a generation of each member, whatever it is shown before or meanwhile', () => {
    const domain = new TestDomain({ members: 3 });
    const [maker, witness, third] = domain.hsms as [Hsm, Hsm, Hsm];
    const hostile = domain.newHsm('hsm-1', maker.sealedIdentity());
    hostile.install(domain.tokens);
    const token = domain.prepare(rotation);
    const another = domain.prepare(rotation, domain.people, hostile);
    const said = `hsm-1 has made another token 2, which was confirmed here`;
    const meanwhile = witness.checking(another);
    meanwhile.next();
    const check = checkedBy(witness, token);
    for (const ask of [() => checkedBy(witness, another), () => atOnce(meanwhile)]) expect(ask).toThrow(said);
    expect(checkedBy(witness, token)).toEqual(check);
    // Nor in the other order, and the tokens of others are others.
    checkedBy(third, another);
    expect(() => checkedBy(third, token)).toThrow(said);
    const other = domain.prepare(rotation, domain.people, witness);
    checkedBy(third, other);
    // What follows is a new matter.
    for (const hsm of [maker, witness, third]) hsm.install([token]);
    domain.tokens.push(token);
    checkedBy(third, domain.prepare(rotation));
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
    const restarted = restart(domain, third, { heldTokens: [...domain.tokens, token] });
    const answer = (hsm: Hsm, to: Buffer) => () => answerOf(hsm, to);
    for (const hsm of [third, restarted]) {
      answer(hsm, token)();
      expect(answer(hsm, fork)).toThrow('hsm-3 signs that it holds another domain token 2');
      // The store may have lost the one after it.
      answer(hsm, domain.tokens[0]!)();
    }
    // What lies on its disk is none of its tokens unless the newest one says so.
    for (const heldTokens of [[], [token], [fork], [domain.tokens[0]!, fork], [Buffer.from('none'), token]]) {
      const told = restart(domain, third, { heldTokens });
      expect(answer(told, domain.tokens[0]!)).toThrow('hsm-3 signs that it holds another domain token 2');
      expect(answer(told, fork)).toThrow('hsm-3 signs that it holds another domain token 2');
    }
    first.install([token]);
    domain.tokens.push(token);
    // Whoever only asks to join holds nothing.
    const newcomer = domain.newHsm('hsm-9');
    newcomer.install(domain.tokens);
    expect(refusalOf(() => checkedBy(newcomer, fork))).toBe('forked');
  });

  test('says of the tokens that led to its removal that it has them, and of others that it holds another', () => {
    const domain = new TestDomain({ members: 3 });
    const former = domain.hsms[2]!;
    const fork = domain.prepare(rotation, domain.people, domain.hsms[1]);
    const rotated = domain.rotate();
    domain.step({ name: 'ModifyMembers', body: { admit: [], remove: ['hsm-3'] } });
    expect(former.installed).toBeUndefined();
    const answer = (to: Buffer) => () => answerOf(former, to);
    // The store may have lost them all, and is to have them again.
    answer(rotated)();
    expect(answer(fork)).toThrow('hsm-3 signs that it holds another domain token 3');
  });

  test('says what it holds, and opens nothing, for who may ask no more', () => {
    const domain = new TestDomain({ members: 3 });
    const [, second, third] = domain.hsms as [Hsm, Hsm, Hsm];
    const fork = domain.prepare(rotation, domain.people, second);
    const token = domain.prepare(rotation);
    const answer = (to: Buffer) => {
      const asked = { domain: 'test', ...placeOf(parseToken(to)) };
      const said = checkedBy(third, to, 'holds');
      assertHoldsNoOther(said, [memberOf(third)], asked);
      assertChecked(said, [memberOf(third)], asked);
    };
    expect(refusalOf(() => answer(token))).toBe('unauthorized-call');
    third.install([token]);
    answer(token);
    expect(() => answer(fork)).toThrow('hsm-3 signs that it holds another domain token 2');
    // Not even what it would confirm for a scheduler.
    domain.hsms[0]!.install([token]);
    domain.tokens.push(token);
    const next = domain.prepare(rotation);
    expect(refusalOf(() => answer(next))).toBe('unauthorized-call');
    expect(refusalOf(() => checkedBy(third, next))).toBe('accepted');
  });

  test('confirms no token that another member cannot open, nor one of which it cannot tell', () => {
    const domain = new TestDomain({ members: 4 });
    const owned = domain.identities.get('hsm-1')!;
    const [maker, witness] = domain.hsms as [Hsm, Hsm];
    const token = domain.prepare(rotation);
    for (const victims of [['hsm-4'], ['hsm-1', 'hsm-3']]) {
      const hostile = sealedNotFor(victims, token, owned);
      expect(() => checkedBy(witness, hostile)).toThrow(`the token is sealed for ${victims.join(', ')} otherwise`);
      expect(
        refusalOf(() =>
          domain.newHsm('hsm-2', witness.sealedIdentity()).install([...domain.tokens, domain.witnessed(hostile)]),
        ),
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
      expect(refusalOf(() => checkedBy(witness, hostile))).toBe('forged');
    }
    checkedBy(witness, token);
  });

  test('neither confirms nor installs a domain key under an id that its maker chose, such as that of a dropped one', () => {
    const domain = new TestDomain();
    const [maker, witness] = domain.hsms as [Hsm, Hsm];
    const owned = domain.identities.get(maker.memberId)!;
    // So that nobody has to confirm it.
    const { state, previousHash, proposal } = parseToken(domain.prepare({ ...rotation, unwitnessed: true }));
    const { materialIdKey, domainKeys: held } = maker.installed!.secrets;
    const ofBefore = { domain: 'test', generation: 1 };
    const key = newSecretKey(randomBytes);
    const chosen = ['0'.repeat(32), domainKeyIdOf(key, ofBefore)].map((id) => ({ id, key }));
    const own = { id: domainKeyIdOf(key, { domain: 'test', generation: state.generation }), key };
    for (const made of [...chosen, own]) {
      const domainKeys = [state.domainKeys[0]!, { ...state.domainKeys[1]!, id: made.id }];
      const secrets = { materialIdKey, domainKeys: [...held, made] };
      const parts = { state: { ...state, domainKeys }, previousHash, proposal, secrets };
      const token = atOnce(sealDomainToken(parts, owned, randomBytes));
      const answer = made === own ? 'accepted' : 'forged';
      const restarted = domain.newHsm(witness.memberId, witness.sealedIdentity());
      expect(refusalOf(() => checkedBy(witness, token))).toBe(answer);
      expect(refusalOf(() => witness.install([token]))).toBe(answer);
      expect(refusalOf(() => restarted.install([...domain.tokens, token]))).toBe(answer);
    }
  });

  test('neither takes other keys under the ids of its own nor confirms them, not even after a restart', () => {
    const domain = new TestDomain();
    const [maker, member] = domain.hsms as [Hsm, Hsm];
    const hostile = withOtherKeys(domain.prepare(rotation), domain.identities.get(maker.memberId)!);
    expect(refusalOf(() => checkedBy(member, hostile))).toBe('forged');
    // Not even with a witness of its own name, which it never signed.
    const witnessed = domain.witnessed(hostile);
    expect(refusalOf(() => member.install([witnessed]))).toBe('forged');
    const restarted = domain.newHsm(member.memberId, member.sealedIdentity());
    expect(refusalOf(() => checkedBy(restarted, hostile))).toBe('no-domain');
    expect(refusalOf(() => restarted.install([...domain.tokens, witnessed]))).toBe('forged');
    expect(
      refusalOf(() => restarted.install([witnessed])),
      'nothing to compare with',
    ).toBe('no-domain');
    // Nor when the token after it holds them, too.
    domain.tokens.push(witnessed);
    const makingMore = domain.newHsm(maker.memberId, domain.identities.get(maker.memberId)!.seal(testSealKey));
    makingMore.install(domain.tokens);
    const next = domain.prepare(rotation, domain.people, makingMore);
    expect(refusalOf(() => restarted.install([...domain.tokens, next]))).toBe('forged');
  });
});

describe('a hostile member that makes whatever one signature asks for', () => {
  /** The first member, in hostile hands, with one other: `rotate` makes and installs one, as if it were stored. */
  function attacked(members = 2) {
    const domain = new TestDomain({ members });
    const [former, witness] = domain.hsms as [Hsm, Hsm];
    const clock = new TestClock();
    const hostile = runBy(domain, former, { clock, rotationPauseMs: 0 });
    domain.hsms[0] = hostile;
    const made = () => domain.prepare(rotation, [domain.scheduler]);
    return {
      domain,
      clock,
      hostile,
      witness,
      made,
      asked: (token: Buffer) => refusalOf(() => checkedBy(witness, token)),
    };
  }

  test('rotates no sooner than the witness itself would, but for ten minutes', () => {
    const { domain, made, asked, witness } = attacked();
    const early = made();
    domain.clock.advance(50 * 60_000 - 1);
    expect(asked(early)).toBe('too-soon');
    domain.clock.advance(1);
    expect(asked(early)).toBe('accepted');
    const patient = runBy(domain, witness, { rotationPauseMs: 2 * ROTATION_PAUSE_MS });
    expect(refusalOf(() => checkedBy(patient, early))).toBe('too-soon');
  });

  test('gains no rotation by a token that it dates back', () => {
    const { domain, clock, witness, made, asked } = attacked();
    domain.clock.advance(24 * ROTATION_PAUSE_MS);
    clock.advance(1);
    for (let i = 0; i < 2; i++) {
      domain.clock.advance(ROTATION_PAUSE_MS);
      const token = made();
      expect(asked(token)).toBe('accepted');
      domain.tokens.push(token);
      for (const hsm of domain.hsms) hsm.install([token]);
      expect(witness.state!.domainKeys.at(-1)!.createdAt).toBe(clock.now());
      expect(asked(made())).toBe('too-soon');
    }
    // What is no rotation starts no new hour.
    domain.clock.advance(49 * 60_000);
    clock.time = domain.clock.time;
    domain.step({ name: 'ModifyRules', body: { rules: testRules, backupHorizonMs: 0 } }, domain.people, witness);
    expect(asked(made())).toBe('too-soon');
    domain.clock.advance(60_000);
    expect(asked(made())).toBe('accepted');
  });

  test('retires no domain keys one by one', () => {
    const { domain, hostile, asked } = attacked(3);
    domain.rotate();
    const ids = hostile.state!.domainKeys.map(({ id }) => id);
    domain.hsms.pop();
    domain.step({ name: 'ModifyMembers', body: { admit: [], remove: ['hsm-3'] } });
    const retirement: Change = { name: 'RetireDomainKeys', body: { ids: [ids[0]!] } };
    const token = madeByHand(domain, hostile, domain.propose(retirement, [domain.scheduler]));
    expect(asked(token)).toBe('invalid-change');
    expect(refusalOf(() => domain.prepare({ name: 'RetireDomainKeys', body: { ids } }, [domain.scheduler]))).toBe(
      'accepted',
    );
  });

  test('gives machines no more than to rotate and retire', () => {
    const { domain, hostile, asked } = attacked();
    const rules: Rule[] = testRules.map((rule) =>
      rule.command === 'LeaveDomain' ? { ...rule, alternatives: [[{ role: 'scheduler', minimum: 1 }]] } : rule,
    );
    const proposal = domain.propose({ name: 'ModifyRules', body: { rules, backupHorizonMs: 0 } });
    expect(asked(madeByHand(domain, hostile, proposal))).toBe('invalid-change');
  });
});

describe('a witness confirms what honest members made', () => {
  test('long ago, and by a clock that is ten minutes ahead of its own', () => {
    const domain = new TestDomain();
    const [maker, witness] = domain.hsms as [Hsm, Hsm];
    domain.clock.advance(ROTATION_PAUSE_MS);
    const token = domain.prepare(rotation, [domain.scheduler]);
    const late = new TestClock();
    late.time = domain.clock.time - 10 * 60_000;
    for (const clock of [late, domain.clock]) checkedBy(runBy(domain, witness, { clock }), token);
    domain.clock.advance(1000 * ROTATION_PAUSE_MS);
    for (const hsm of [witness, runBy(domain, witness, {})]) checkedBy(hsm, token);
    // What it has installed it confirms at any time.
    for (const hsm of [maker, witness]) hsm.install([token]);
    checkedBy(witness, token);
  });

  test('at any time, if those signed who may change the members', () => {
    const domain = new TestDomain();
    for (let i = 0; i < 3; i++) {
      checkedBy(domain.hsms[1]!, domain.prepare(rotation));
      domain.rotate();
    }
  });
});

/** A member's process anew, with its domain keys. */
function runBy(domain: TestDomain, member: Hsm, options: Partial<HsmOptions>): Hsm {
  const hsm = restart(domain, member, options);
  hsm.install(domain.tokens);
  return hsm;
}

function restart(domain: TestDomain, member: Hsm, options: Partial<HsmOptions>): Hsm {
  return new Hsm({
    memberId: member.memberId,
    anchor: domain.anchor,
    sealKey: testSealKey,
    clock: domain.clock,
    monotonicClock: domain.clock,
    random: randomBytes,
    sealedIdentity: member.sealedIdentity(),
    ...options,
  });
}

/** What a member makes that asks nothing: the change makes no domain key. */
function madeByHand(domain: TestDomain, maker: Hsm, proposal: Buffer): Buffer {
  const identity = domain.identities.get(maker.memberId)!;
  const { state: before, tokenHash: previousHash, secrets } = maker.installed!;
  const parsed = parseProposal(proposal);
  const making = { keyId: '', madeAt: before.madeAt };
  const state = nextState(before, parseDomainChange(parsed.command), making);
  return atOnce(sealDomainToken({ state, previousHash, proposal: parsed, secrets }, identity, randomBytes));
}

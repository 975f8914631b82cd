import { type Change, memberOf, refusalOf, rotation, TestDomain } from '@keyfleet/test-support/domain';
import { describe, expect, test } from 'vitest';
import { parseToken } from '@keyfleet/shared/domain/token';

const YEAR = 365 * 86_400_000;

/** Without its witness, whose signature is another each time. */
const madeOf = (token: Buffer): Uint8Array => parseToken(token).made;

describe('a member makes one token of a generation', () => {
  const another: Change = { name: 'ModifyOperators', body: { admit: [], remove: ['carol'] } };

  test('and gives the same bytes again for every later request', () => {
    const domain = new TestDomain();
    const token = domain.prepare(rotation);
    expect(madeOf(domain.prepare(rotation))).toEqual(madeOf(token));
    expect(madeOf(domain.prepare(another))).toEqual(madeOf(token));
    expect(refusalOf(() => domain.prepare(another, [domain.alice]))).toBe('not-enough-signatures');
  });

  test('also after a restart, and the founding token too', () => {
    const domain = new TestDomain();
    const token = domain.prepare(rotation);
    const restarted = domain.newHsm('hsm-1', domain.hsms[0]!.sealedIdentity());
    restarted.install(domain.tokens);
    expect(madeOf(domain.prepare(another, domain.people, restarted))).toEqual(madeOf(token));

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
    expect(madeOf(next)).not.toEqual(madeOf(unused));
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
    expect(madeOf(domain.prepare(another))).toEqual(madeOf(ahead));
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

function foundingBody(domain: TestDomain) {
  const { operators, rules } = domain.hsms[0]!.installed!.state;
  return { members: domain.hsms.map(memberOf), operators, rules, backupHorizonMs: 0 };
}

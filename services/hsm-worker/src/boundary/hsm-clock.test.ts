import { type Change, refusalOf, rotation, TestClock, TestDomain, testSealKey } from '@keyfleet/test-support/domain';
import { checkedBy } from '@keyfleet/test-support/token-verdict';
import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { CHANGEOVER_MS } from '@keyfleet/shared/domain/state';
import { parseToken } from '@keyfleet/shared/domain/token';
import { ROTATION_PAUSE_MS } from '@keyfleet/shared/domain/valid-state';
import { SESSION_MS } from '@keyfleet/shared/hsm/session';
import { Hsm } from './hsm.ts';

const DAY = 86_400_000;
const YEAR = 365 * DAY;

describe('a worker whose clock is wrong', () => {
  /** The first member again, with its clock ahead of the others'. Time passes for it as for them. */
  function ahead(domain: TestDomain, by: number, clock = new TestClock(), rotationPauseMs = ROTATION_PAUSE_MS): Hsm {
    clock.time = domain.clock.now() + by;
    const sealedIdentity = domain.hsms[0]!.sealedIdentity();
    const hsm = new Hsm({
      memberId: 'hsm-1',
      anchor: domain.anchor,
      sealKey: testSealKey,
      clock,
      monotonicClock: domain.clock,
      random: randomBytes,
      rotationPauseMs,
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

  test('takes of a page of tokens those that are not from its future, and refuses the rest', () => {
    const domain = new TestDomain({ members: 3 });
    const away = domain.hsms.pop()!;
    const { generation } = domain;
    domain.clock.advance(7_200_000);
    domain.step({ name: 'ModifyOperators', body: { admit: [], remove: ['frontend-1'] } });
    domain.clock.advance(3_600_000);
    domain.rotate();
    domain.clock.advance(-900_000);
    const page = domain.tokens.slice(generation);
    expect(away.install(page).map(({ state }) => state.generation)).toEqual([2]);
    expect(away.state!.operators.map(({ operatorId }) => operatorId)).not.toContain('frontend-1');
    expect(away.keyring()!.find(away.state!.domainKeys.at(-1)!.id)).toBeDefined();
    expect(refusalOf(() => away.install(page))).toBe('from-the-future');
    expect(refusalOf(() => away.install(page.slice(1)))).toBe('from-the-future');
    domain.clock.advance(900_000);
    expect(away.install(page).map(({ state }) => state.generation)).toEqual([3]);
  });

  test('opens its newest token again though the one after it is from its future', () => {
    const domain = new TestDomain({ members: 3 });
    const identity = domain.hsms[2]!.sealedIdentity();
    domain.clock.advance(3_600_000);
    domain.rotate();
    domain.clock.advance(-3_600_000);
    const restarted = domain.newHsm('hsm-3', identity);
    expect(restarted.installed).toBeUndefined();
    restarted.install(domain.tokens);
    expect(restarted.installed!.state.generation).toBe(1);
    expect(refusalOf(() => restarted.install(domain.tokens))).toBe('from-the-future');
  });

  test('that was ahead when it took a rotation waits as long as others for the next one, and for what else follows', () => {
    const domain = new TestDomain();
    const clock = new TestClock();
    const wrong = ahead(domain, 300 * DAY, clock);
    domain.clock.advance(ROTATION_PAUSE_MS);
    domain.step(rotation, [domain.scheduler], domain.hsms[1]);
    const old = wrong.keyring()!.active.id;
    wrong.install(domain.tokens);
    domain.clock.advance(ROTATION_PAUSE_MS - 1);
    clock.time = domain.clock.now();
    expect(refusalOf(() => domain.make(rotation, [domain.scheduler], wrong))).toBe('too-soon');
    domain.clock.advance(1);
    const others = domain.make(rotation, [domain.scheduler], domain.hsms[1]);
    expect(refusalOf(() => checkedBy(wrong, others))).toBe('accepted');
    expect(refusalOf(() => domain.make(rotation, [domain.scheduler], wrong))).toBe('accepted');
    expect(wrong.keyring()!.active.id).not.toBe(old);
    domain.clock.advance(SESSION_MS);
    expect(wrong.installed!.takesSessionsUnder(old)).toBe(false);
  });

  test.each([
    ['put forward', DAY],
    ['put back', -300_000],
  ])('makes and confirms no rotation too soon after one that was dated back: %s', (_, by) => {
    const domain = new TestDomain();
    const hostile = ahead(domain, 0, new TestClock(), 0);
    const clock = new TestClock();
    const member = ahead(domain, 0, clock);
    domain.clock.advance(DAY);
    clock.time = domain.clock.now();
    domain.step(rotation, [domain.scheduler], hostile);
    member.install(domain.tokens);
    hostile.install(domain.tokens);
    clock.advance(by);
    expect(refusalOf(() => domain.make(rotation, [domain.scheduler], member))).toBe('too-soon');
    const token = domain.make(rotation, [domain.scheduler], hostile);
    expect(refusalOf(() => checkedBy(member, token))).toBe('too-soon');
  });
});

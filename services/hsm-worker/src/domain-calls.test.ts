import { type DomainCallMethod, signCall } from '@keyfleet/shared/domain/domain-call';
import { parseToken } from '@keyfleet/shared/domain/token';
import {
  newOperator,
  publicPart,
  refusalOf,
  rotation,
  TestDomain,
  type TestOperator,
} from '@keyfleet/test-support/domain';
import { expect, test } from 'vitest';
import type { Hsm } from './boundary/hsm.ts';
import { DomainCalls, type DomainCallsDeps } from './domain-calls.ts';

function callsOf(domain: TestDomain, hsm: DomainCallsDeps['hsm']) {
  const { anchor, clock } = domain;
  const signed = (method: DomainCallMethod, request: readonly Uint8Array[], by: TestOperator) =>
    signCall({ domain: anchor.domain, method, memberId: hsm.memberId, request }, by, clock.now());
  return { calls: new DomainCalls({ hsm, anchor, clock }), signed };
}

test('a member is prepared, shown tokens, activated and told to leave by a scheduler, and by nobody else', () => {
  const domain = new TestDomain();
  const [hsm] = domain.hsms;
  const { calls, signed } = callsOf(domain, hsm!);
  const proposal = domain.propose(rotation);
  const current = domain.tokens.at(-1)!;
  const attempts: [DomainCallMethod, Uint8Array[], (call: Uint8Array | undefined) => void][] = [
    ['PrepareDomainToken', [proposal, current], (call) => calls.assertPrepare(call, proposal, current)],
    ['InstallDomainTokens', domain.tokens, (call) => calls.assertInstall(call, domain.tokens)],
    ['CheckDomainToken', [current], (call) => calls.assertCheck(call, current)],
    ['ActivateDomainKey', [Buffer.from('1')], (call) => calls.assertActivate(call, 1)],
    ['LeaveDomain', [proposal], (call) => calls.assertLeave(call, proposal)],
  ];
  for (const [method, request, attempt] of attempts) {
    attempt(signed(method, request, domain.scheduler));
    for (const by of [domain.alice, domain.frontend, newOperator('scheduler-1', 'scheduler')]) {
      expect(
        refusalOf(() => attempt(signed(method, request, by))),
        method,
      ).toBe('unauthorized-call');
    }
    expect(
      refusalOf(() => attempt(undefined)),
      method,
    ).toBe('unauthorized-call');
  }
});

test('an HSM without a domain takes the call of a scheduler that the founders or the shown tokens name', () => {
  const domain = new TestDomain();
  const fresh = domain.newHsm('hsm-3');
  const { calls, signed } = callsOf(domain, fresh);
  calls.assertInstall(signed('InstallDomainTokens', domain.tokens, domain.scheduler), domain.tokens);
  const stranger = newOperator('stranger', 'scheduler');
  expect(
    refusalOf(() => calls.assertInstall(signed('InstallDomainTokens', domain.tokens, stranger), domain.tokens)),
  ).toBe('unauthorized-call');
  expect(
    refusalOf(() => calls.assertActivate(signed('ActivateDomainKey', [Buffer.from('1')], domain.scheduler), 1)),
  ).toBe('no-domain');
});

test('an HSM is asked about a token that has no witness yet, the founding one too, and installs none', () => {
  const domain = new TestDomain();
  const founding = parseToken(domain.tokens[0]!).made;
  const next = parseToken(domain.prepare(rotation)).made;
  for (const [hsm, token] of [
    [domain.newHsm('hsm-3'), founding],
    [domain.hsms[1]!, next],
  ] as const) {
    const { calls, signed } = callsOf(domain, hsm);
    const check = (by: TestOperator) =>
      refusalOf(() => calls.assertCheck(signed('CheckDomainToken', [token], by), token));
    expect([check(domain.scheduler), check(newOperator('scheduler-1', 'scheduler'))]).toEqual([
      'accepted',
      'unauthorized-call',
    ]);
    const install = () => calls.assertInstall(signed('InstallDomainTokens', [token], domain.scheduler), [token]);
    expect(refusalOf(install)).toBe('unwitnessed');
  }
});

test('a member that was away takes tokens from no scheduler that only they admit: it finds them itself', () => {
  const domain = new TestDomain();
  const away = domain.hsms[1]!;
  const successor = newOperator('scheduler-2', 'scheduler');
  const change = { admit: [publicPart(successor)], remove: ['scheduler-1'] };
  const token = domain.prepare({ name: 'ModifyOperators', body: change });
  const { calls, signed } = callsOf(domain, away);
  const refusalFor = (by: TestOperator) =>
    refusalOf(() => calls.assertInstall(signed('InstallDomainTokens', [token], by), [token]));
  expect([refusalFor(successor), refusalFor(domain.scheduler)]).toEqual(['unauthorized-call', 'accepted']);
  away.install([token]);
  expect([refusalFor(successor), refusalFor(domain.scheduler)]).toEqual(['accepted', 'unauthorized-call']);
});

test('a member says to schedulers of before which token it holds, also by a name that was given again', () => {
  const domain = new TestDomain();
  const [, member] = domain.hsms as [Hsm, Hsm];
  const { scheduler: first, tokens } = domain;
  const [second, again] = [newOperator('scheduler-2', 'scheduler'), newOperator(first.operatorId, 'scheduler')];
  const stranger = newOperator(first.operatorId, 'scheduler');
  const candidate = domain.newHsm('hsm-9');
  for (const [admit, remove] of [
    [second, first],
    [again, second],
  ] as const) {
    const { operatorId } = remove;
    domain.step({ name: 'ModifyOperators', body: { admit: [publicPart(admit)], remove: [operatorId] } });
  }
  candidate.install(tokens);
  const token = tokens.at(-1)!;
  const askedOf = (hsm: Hsm, by: TestOperator): string => {
    const { calls, signed } = callsOf(domain, hsm);
    const asked = () => calls.assertCheck(signed('CheckDomainToken', [token], by), token);
    const refusal = refusalOf(asked);
    return refusal === 'accepted' ? asked() : refusal;
  };
  const everyone = [first, second, again, stranger, domain.alice];
  const restarted = domain.newHsm(member.memberId, member.sealedIdentity());
  const toNobodyElse = ['unauthorized-call', 'unauthorized-call'];
  expect(everyone.map((by) => askedOf(member, by))).toEqual(['holds', 'holds', 'opens', ...toNobodyElse]);
  expect(everyone.slice(2).map((by) => askedOf(restarted, by))).toEqual(['opens', ...toNobodyElse]);
  // Who was no member held nothing, and whoever is asked for more than that refuses.
  expect(askedOf(candidate, first)).toBe('unauthorized-call');
  const { calls, signed } = callsOf(domain, member);
  const install = signed('InstallDomainTokens', tokens, second);
  expect(refusalOf(() => calls.assertInstall(install, tokens))).toBe('unauthorized-call');
});

test('a member does not even read the tokens that a stranger shows it', () => {
  const domain = new TestDomain();
  const [hsm] = domain.hsms;
  const { calls, signed } = callsOf(domain, hsm!);
  const noise = [Buffer.from('noise')];
  const call = signed('InstallDomainTokens', noise, newOperator('scheduler-1', 'scheduler'));
  expect(refusalOf(() => calls.assertInstall(undefined, noise))).toBe('unauthorized-call');
  expect(refusalOf(() => calls.assertInstall(call, noise))).toBe('unauthorized-call');
});

test('of the tokens that a scheduler shows, a member verifies the next one alone', () => {
  const domain = new TestDomain({ members: 3 });
  const [, behind] = domain.hsms as [Hsm, Hsm];
  const away = domain.newHsm('hsm-2', behind.sealedIdentity());
  away.install(domain.tokens);
  for (let i = 0; i < 4; i++) domain.rotate();
  let verified = 0;
  const hsm = {
    memberId: 'hsm-2',
    state: away.state,
    heldSchedulers: away.heldSchedulers,
    verify: (tokens: readonly Uint8Array[]) => ((verified += tokens.length), away.verify(tokens)),
  };
  const { calls, signed } = callsOf(domain, hsm);
  const shown = (tokens: readonly Uint8Array[]) =>
    calls.assertInstall(signed('InstallDomainTokens', tokens, domain.scheduler), tokens);
  expect(shown(domain.tokens)).toBe(5);
  expect(shown(domain.tokens.slice(1))).toBe(5);
  expect(shown(domain.tokens.slice(0, 1))).toBe(1);
  expect(verified).toBe(3);
  expect(refusalOf(() => shown(domain.tokens.slice(2)))).toBe('skipped');
  expect(refusalOf(() => shown([]))).toBe('no-domain');
  expect(refusalOf(() => shown([...domain.tokens.slice(0, 1), Buffer.from('noise'), Buffer.from('noise')]))).toBe(
    'malformed',
  );
});

test('a domain is never left without a scheduler', () => {
  const domain = new TestDomain();
  const change = { name: 'ModifyOperators' as const, body: { admit: [], remove: ['scheduler-1'] } };
  expect(refusalOf(() => domain.prepare(change))).toBe('invalid-change');
});

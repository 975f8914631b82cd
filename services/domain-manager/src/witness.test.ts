import type { Hsm } from '@keyfleet/hsm-worker/boundary/hsm';
import { Proposal } from '@keyfleet/shared/domain/proposal';
import { parseToken } from '@keyfleet/shared/domain/token';
import { expect, test } from 'vitest';
import {
  type Change,
  forgedToken,
  inVersion2,
  memberOf,
  rotation,
  sealedNotFor,
  TestDomain,
  withOtherKeys,
} from '../../../test/support/domain.ts';
import { checkedBy } from '../../../test/support/token-verdict.ts';
import { away, events, lateOne, newRotation, storedBy, workerOf } from '../../../test/support/witnesses.ts';
import { TokenLogError } from './token-log.ts';
import { UnconfirmedError, witnessOf } from './witness.ts';
import { type Worker, WorkerRefusedError } from './workers.ts';
import { surveyWorkers } from './worker-survey.ts';

const { domain, maker, second, third, good, endsTheDomain } = await newRotation();
const storing = (token: Buffer, workers: readonly Worker[], of = domain) => storedBy(token, workers, of);

test('a token is stored with the signature of another member that opens it, and waits while none is in reach', async () => {
  expect(await storing(good, [workerOf(maker), workerOf(second)])).toBe('with');
  expect(await storing(good, [workerOf(maker), workerOf(second, { describe: away })])).toBe('UnconfirmedError');
  expect(await storing(good, [workerOf(maker)])).toBe('UnconfirmedError');
  expect(await storing(endsTheDomain, [workerOf(maker), workerOf(second), workerOf(third)])).toBe('TokenLogError');
});

test('whoever brings one that nobody can witness hears whom to start, and what to sign if all are lost', async () => {
  const { state: before } = parseToken(domain.tokens[0]!);
  const views = await surveyWorkers([workerOf(maker)], undefined);
  await expect(witnessOf(parseToken(good), { before, removed: new Map(), views, events })).rejects.toThrow(
    /start one of hsm-2, hsm-3\. If all are lost, .*--unwitnessed/,
  );
});

test('one that has a witness, or needs none, is stored as it is', async () => {
  const check = async () => Promise.reject(new WorkerRefusedError('no'));
  const refusing = [second, third].map((hsm) => workerOf(hsm, { check }));
  expect(await storing(domain.witnessed(good), refusing)).toBe('with');
  const alone = new TestDomain({ members: 1 });
  expect(await storing(alone.make(rotation), [workerOf(alone.hsms[0]!)], alone)).toBe('without');
  const removal = { name: 'ModifyMembers', body: { admit: [], remove: ['hsm-2'] } } satisfies Change;
  const two = new TestDomain({ members: 2 });
  const denying = workerOf(two.hsms[1]!, { check: away });
  expect(await storing(two.make(removal), [denying], two)).toBe('without');
});

test('one from before an upgrade is stored without a witness, but not without a member’s word', async () => {
  const { state: before } = parseToken(domain.tokens[0]!);
  const older = forgedToken(good, domain.identities.get('hsm-1')!, ({ proposal }) => {
    const command = inVersion2(Proposal.decode(proposal).command);
    return { proposal: Proposal.encode({ command, signatures: [] }) };
  });
  const token = parseToken(older);
  const by = async (...workers: readonly Worker[]) =>
    witnessOf(token, { before, removed: new Map(), views: await surveyWorkers(workers, undefined), events });
  const confirms = async () => domain.checkBy('hsm-2', token.made);
  await expect(by(workerOf(maker))).rejects.toThrow(UnconfirmedError);
  await expect(by(workerOf(maker), workerOf(third))).rejects.toThrow(TokenLogError);
  expect(await by(workerOf(maker), workerOf(second, { check: confirms }))).toBeUndefined();
});

test('a hostile maker that says it is another member is no witness of its own token', async () => {
  const says = (check: Worker['check']) => workerOf(maker, { describe: async () => second.describe(), check });
  const nothing = says(async () => Buffer.alloc(0));
  const ofAnother = says(async () => checkedBy(second, good));
  const own = says(async () => checkedBy(maker, good));
  for (const liar of [nothing, ofAnother, own]) {
    expect(await storing(endsTheDomain, [liar, workerOf(second), workerOf(third)])).toBe('TokenLogError');
    expect(await storing(endsTheDomain, [liar])).toBe('TokenLogError');
  }
});

test('a member that is there and does not answer, as to a token larger than it reads, is waited for', async () => {
  const silent = [second, third].map((hsm) => workerOf(hsm, { check: away }));
  expect(await storing(endsTheDomain, [workerOf(maker), ...silent])).toBe('UnconfirmedError');
  expect(await storing(good, [...silent, workerOf(second)])).toBe('with');
});

test('a member that has not even the token before is waited for where nobody else can tell', async () => {
  expect(await storing(good, [workerOf(maker), lateOne(domain, third)])).toBe('UnconfirmedError');
  expect(await storing(endsTheDomain, [workerOf(maker), workerOf(second), lateOne(domain, third)])).toBe(
    'TokenLogError',
  );
  expect(await storing(good, [workerOf(maker), workerOf(second), lateOne(domain, third)])).toBe('with');
});

test('whom a token admits is no witness of it: it has no keys to compare', async () => {
  const admitted = domain.newHsm('hsm-4');
  admitted.install(domain.tokens);
  const admission = { name: 'ModifyMembers', body: { admit: [memberOf(admitted)], remove: [] } } satisfies Change;
  const honest = domain.make(admission, domain.people, third);
  const hostile = withOtherKeys(honest, domain.identities.get('hsm-3')!);
  const newcomer = workerOf(admitted);
  expect(await storing(hostile, [newcomer, workerOf(maker), workerOf(second)])).toBe('TokenLogError');
  expect(await storing(honest, [newcomer, workerOf(maker), workerOf(second)])).toBe('with');
  // A hostile worker that says it is a member passes on what the newcomer signed.
  const relay = workerOf(third, {
    describe: async () => second.describe(),
    check: async (token) => newcomer.check(token),
  });
  expect(await storing(hostile, [newcomer, relay])).toBe('TokenLogError');
  expect(await storing(honest, [newcomer, workerOf(third), lateOne(domain, second)])).toBe('UnconfirmedError');
  expect(await storing(honest, [newcomer, workerOf(third)])).toBe('UnconfirmedError');
});

test.each([2, 3])(
  'of %i members, one that admits others and removes all who could compare its keys is not stored',
  async (members) => {
    const renewed = new TestDomain({ members });
    const [stays, ...leave] = renewed.hsms as [Hsm, ...Hsm[]];
    const fresh = renewed.newHsm('hsm-9');
    fresh.install(renewed.tokens);
    const body = { admit: [memberOf(fresh)], remove: leave.map(({ memberId }) => memberId) };
    const token = renewed.make({ name: 'ModifyMembers', body }, renewed.people, stays);
    const all = [stays, ...leave, fresh].map((hsm) => workerOf(hsm));
    expect(await storing(token, all, renewed)).toBe('UnconfirmedError');
    expect(await storing(token, [all[0]!], renewed)).toBe('UnconfirmedError');
  },
);

test('a token that one member cannot open is not stored, whoever confirms, also if that member is in a safe', async () => {
  const withSafe = new TestDomain({ members: 4 });
  const workers = withSafe.hsms.slice(0, 3).map((hsm) => workerOf(hsm));
  const honest = withSafe.make(rotation);
  const owned = withSafe.identities.get('hsm-1')!;
  for (const victim of ['hsm-3', 'hsm-4']) {
    const hostile = sealedNotFor([victim], honest, owned);
    expect(await storing(hostile, workers, withSafe)).toBe('TokenLogError');
    expect(await storing(hostile, workers.slice(0, 2), withSafe)).toBe('TokenLogError');
  }
  expect(await storing(honest, workers, withSafe)).toBe('with');
});

test('a member that has just restarted gets the newest keys first, and compares', async () => {
  for (const [token, outcome] of [
    [endsTheDomain, 'TokenLogError'],
    [good, 'with'],
  ] as const) {
    const restarted = domain.newHsm('hsm-2', second.sealedIdentity());
    expect(restarted.describe().generation).toBe(0);
    expect(await storing(token, [workerOf(maker), workerOf(restarted)])).toBe(outcome);
  }
});

import { amzDateOf } from '@keyfleet/shared/sigv4';
import { type Changes, caller, now, secret, signed } from '@keyfleet/test-support/signed-request';
import { expect, test } from 'vitest';
import { HsmRefusedError, HsmUnavailableError } from '../hsm/commands.ts';
import { Authenticator } from './authenticate.ts';
import { Credential, type OpenedSecret } from './credential.ts';

/** What each member says that the secret is, who is asked in this order; one that says nothing refuses. */
type Members = Record<string, string | undefined>;

/** An access key whose secret has not been opened yet, with a count of its openings. */
function unopened(members?: Members) {
  const state = { openings: 0, now, isOpening: true, members, contradictions: new Array<string>() };
  const openSecret = async (_deadline: number, notBy: string | undefined): Promise<OpenedSecret> => {
    const memberId = Object.keys(state.members ?? {}).find((id) => id !== notBy);
    if (state.members !== undefined && memberId === undefined) throw new HsmUnavailableError('nobody-else');
    state.openings += 1;
    if (!state.isOpening) throw new Error('no worker');
    if (memberId === undefined) return { secretAccessKey: Buffer.from(secret) };
    const said = state.members?.[memberId];
    if (said === undefined) throw new HsmRefusedError('cannot-open', memberId);
    return { secretAccessKey: Buffer.from(said), memberId };
  };
  const credential = new Credential({
    openSecret,
    events: { contradicted: (_command, one, other) => state.contradictions.push(`${other} contradicts ${one}`) },
    identity: () => ({}),
    callerOf: () => caller,
  });
  const authenticator = new Authenticator({
    credentials: { find: () => credential },
    clock: { now: () => state.now },
    clockSkewMs: 300_000,
  });
  const regions = new Set(Array.from({ length: 100 }, (_, index) => `us-east-${index}`));
  /** `accepted`, or the code of the refusal. */
  const call = async (region: string, changes: Changes = {}, sourceIpAddress = '192.0.2.1'): Promise<string> => {
    const request = { ...signed(changes, region), sourceIpAddress };
    return Promise.resolve()
      .then(() => authenticator.authenticate(request, { service: 'kms', regions }, { deadline: now + 1000 }))
      .then(
        () => 'accepted',
        (error: Error) => error.name,
      );
  };
  return { call, regions: [...regions], state, credential };
}

const wrong = { secret: 'wrong' };
const owner = '192.0.2.2';

test('a stranger who names an access key has its secret opened 40 times at most, then once in ten seconds', async () => {
  const { call, regions, state } = unopened();
  const answers = await Promise.all(regions.map((region) => call(region, wrong)));
  expect(Object.groupBy(answers, (answer) => answer)).toMatchObject({
    InvalidSignatureException: { length: 40 },
    ThrottlingException: { length: 60 },
  });
  expect(state.openings).toBe(40);
  state.now += 10_000;
  expect([await call('us-east-98', wrong), await call('us-east-99', wrong)]).toEqual([
    'InvalidSignatureException',
    'ThrottlingException',
  ]);
  // A key that is open stays open to everybody, and its owner elsewhere notices nothing.
  expect(await call('us-east-0')).toBe('accepted');
  expect(await call('us-east-97', {}, '192.0.2.2')).toBe('accepted');
});

test('a genuine signer may have a secret opened for every Region, and all who wait share an opening', async () => {
  const { call, regions, state } = unopened();
  for (const region of regions) {
    const answers = await Promise.all(Array.from({ length: 50 }, () => call(region)));
    expect(new Set(answers)).toEqual(new Set(['accepted']));
  }
  expect(state.openings).toBe(regions.length);
});

test('openings that fail while no worker is there do not count', async () => {
  const { call, regions, state } = unopened();
  state.isOpening = false;
  for (const region of regions) expect(await call(region)).toBe('Error');
  state.isOpening = true;
  expect(await call('us-east-0')).toBe('accepted');
});

test('what one member says wrongly refuses nobody while another is in reach, and does not last', async () => {
  const { call, state } = unopened({ liar: 'A'.repeat(40), honest: secret });
  for (let requests = 0; requests < 10; requests++) expect(await call('us-east-0')).toBe('accepted');
  expect(state).toMatchObject({ openings: 2, contradictions: ['honest contradicts liar'] });
});

test('who signs with what one member says wrongly locks the owner out no longer than until the next signature', async () => {
  const { call, state } = unopened({ liar: 'A'.repeat(40), honest: secret });
  expect(await call('us-east-0', { secret: 'A'.repeat(40) })).toBe('accepted');
  expect([await call('us-east-0', {}, owner), await call('us-east-0', {}, owner)]).toEqual(['accepted', 'accepted']);
  expect(state.openings).toBe(2);
});

test('two members are asked, and nobody again, however many wrong signatures come', async () => {
  const { call, state } = unopened({ one: secret, two: secret, liar: 'A'.repeat(40) });
  expect(await call('us-east-0')).toBe('accepted');
  expect(state.openings).toBe(1);
  for (let requests = 0; requests < 100; requests++)
    expect(await call('us-east-0', wrong)).toBe('InvalidSignatureException');
  expect(await call('us-east-0')).toBe('accepted');
  expect(state).toMatchObject({ openings: 2, contradictions: [] });
  expect(await call('us-east-1', wrong)).toBe('InvalidSignatureException');
  expect(state.openings).toBe(4);
});

test('wrong signatures under a key on which members differ ask 40 times at most, and the owner none', async () => {
  const { call, state } = unopened({ honest: secret, liar: 'A'.repeat(40) });
  expect(await call('us-east-0', {}, owner)).toBe('accepted');
  const answers = await Promise.all(Array.from({ length: 100 }, () => call('us-east-0', wrong)));
  expect(Object.groupBy(answers, (answer) => answer)).toMatchObject({
    InvalidSignatureException: { length: 40 },
    ThrottlingException: { length: 60 },
  });
  expect(state.openings).toBe(41);
  for (const from of [owner, undefined]) expect(await call('us-east-0', {}, from)).toBe('accepted');
  expect(state.openings).toBe(41);
});

test('a wrong signature is wrong without another member, which costs nothing, and with one that refuses', async () => {
  const { call, state } = unopened({ liar: 'A'.repeat(40) });
  for (let requests = 0; requests < 100; requests++) expect(await call('us-east-0')).toBe('InvalidSignatureException');
  state.members = { liar: 'A'.repeat(40), refuses: undefined };
  expect(await call('us-east-0')).toBe('InvalidSignatureException');
  expect(state).toMatchObject({ openings: 2, contradictions: [] });
  state.members = { liar: 'A'.repeat(40), honest: secret };
  expect(await call('us-east-0')).toBe('accepted');
});

test('an answer that comes after a member has left is not kept', async () => {
  const { call, state, credential } = unopened({ liar: 'A'.repeat(40), honest: secret });
  const scope = { date: amzDateOf(now).slice(0, 8), region: 'us-east-0', service: 'kms' };
  await credential.openSigningKey(scope, now + 1000);
  const asked = credential.openElsewhere(scope, now + 1000, () => true);
  credential.forgetSigningKeys();
  expect(await asked).toBe('right');
  expect(credential.signingKey(scope)).toBeUndefined();
  state.members = { honest: secret };
  expect(await call('us-east-0')).toBe('accepted');
});

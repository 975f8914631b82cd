import { place, record, twoFrontends, withRubbish } from '@keyfleet/test-support/record-key-fleet';
import { describe, expect, test } from 'vitest';
import { HsmUnavailableError } from '../hsm/commands.ts';
import { noRecordKeyFloor } from './record-key-floor.ts';
import { FleetRecordKeys, LOOK_AGAIN_MS } from './record-keys.ts';
import { RecordMacs } from './record-macs.ts';
import { DamagedRecordError } from './store.ts';

test('a record key that is taken away is not made anew: what is under it is read, and nothing is written', async () => {
  const { secrets, hsm, keys, rotating, time } = await twoFrontends();
  await rotating.makeNext();
  time.ms += LOOK_AGAIN_MS;
  expect((await keys.newest()).number).toBe(2);
  const made = hsm.executed.filter((command) => command === 'GenerateCredential').length;
  const find = secrets.findSecret.bind(secrets);
  Object.assign(secrets, { findSecret: async () => undefined });
  time.ms += LOOK_AGAIN_MS;
  for (const number of [1, 2]) expect(await keys.find(number)).toBeDefined();
  await expect((async () => keys.newest())()).rejects.toThrow('record key 2 is missing');
  expect(hsm.executed.filter((command) => command === 'GenerateCredential').length).toBe(made);
  secrets.findSecret = find;
  expect((await keys.newest()).number).toBe(2);
});

test('a next record key from before a removal is followed by who looks before it, and else on the way to one from after it', async () => {
  const { secrets, hsm, domain, keys, rotating, time } = await twoFrontends();
  await rotating.makeNext();
  hsm.sealsUnder = domain.rotate(0, { afterRemoval: true });
  expect((await rotating.newest()).number).toBe(2);
  time.ms += LOOK_AGAIN_MS;
  await expect((async () => keys.newest())()).rejects.toThrow('record key 2 was made before the last removal');
  expect(await keys.find(1)).toBeDefined();
  const lowest = { oldest: 1, newest: 2, madeIn: 1, fingerprints: {} };
  const floor = { ...noRecordKeyFloor, lowest };
  await new FleetRecordKeys({ secrets, hsm, domain, clock: { now: Date.now }, floor }).makeNext();
  expect((await keys.newest()).number).toBe(3);
  expect(await keys.find(2)).toBeDefined();
});

test('a record key that is resealed is still the same, and is opened again only then', async () => {
  const { secrets, hsm, domain, keys, time } = await twoFrontends();
  const named = `keyfleet-record-key-1/${domain.active}`;
  const sealedFor = { accessKeyId: named, principal: 'keyfleet:frontends' };
  const token = (await secrets.findSecret('record-key-1'))!;
  const { secretAccessKey } = await hsm.execute('OpenCredential', { ...sealedFor, token });
  hsm.sealsUnder = domain.rotate(0);
  const resealed = (await hsm.execute('SealCredential', { ...sealedFor, secretAccessKey })).token;
  Object.assign(secrets, { findSecret: async (name: string) => (name === 'record-key-1' ? resealed : undefined) });
  hsm.failure = new HsmUnavailableError('timed-out');
  time.ms += LOOK_AGAIN_MS;
  expect((await keys.newest()).number).toBe(1);
  hsm.failure = undefined;
  const asked = hsm.executed.length;
  for (let looks = 0; looks < 3; looks++) {
    time.ms += LOOK_AGAIN_MS;
    expect((await keys.newest()).number).toBe(1);
  }
  expect(hsm.executed.length).toBe(asked + 1);
});

test('while no HSM opens it, a next record key is not followed', async () => {
  const { hsm, keys, rotating, time } = await twoFrontends();
  await rotating.makeNext();
  hsm.failure = new HsmUnavailableError('timed-out');
  time.ms += LOOK_AGAIN_MS;
  await expect((async () => keys.newest())()).rejects.toBe(hsm.failure);
  hsm.failure = undefined;
  expect((await keys.newest()).number).toBe(2);
});

test('no number alone makes a running frontend give up the record keys that it knows', async () => {
  const { secrets, keys, time, macs: reader, before } = await twoFrontends();
  secrets.oldestRecordKey = 9;
  time.ms += LOOK_AGAIN_MS;
  await expect(reader.withMac(place, record)).rejects.toThrow('record key 9 is said to be the oldest');
  secrets.oldestRecordKey = undefined;
  expect(await keys.look()).toMatchObject({ oldest: 1, newest: 1 });
  expect(await reader.verified(place, before)).toBe(record);
});

test('a frontend that was away during two rotations continues with a record key that nobody who was removed can have', async () => {
  const { secrets, hsm, domain, rotating, time } = await twoFrontends();
  const isDropped = (name: string) => Number(name.split('-').at(-1)) < (secrets.oldestRecordKey ?? 1);
  const dropping = {
    findSecret: async (name: string) => (isDropped(name) ? undefined : secrets.findSecret(name)),
    insertSecret: async (name: string, token: Uint8Array) => secrets.insertSecret(name, token),
    findOldestRecordKey: async () => secrets.findOldestRecordKey(),
    noteOldestRecordKey: async (number: number) => secrets.noteOldestRecordKey(number),
  };
  const clock = { now: () => time.ms };
  const away = new FleetRecordKeys({ secrets: dropping, hsm, domain, clock, monotonicClock: clock });
  await away.newest();
  hsm.sealsUnder = domain.rotate(0, { afterRemoval: true });
  for (let number = 2; number <= 4; number++) await rotating.makeNext();
  secrets.oldestRecordKey = 3;
  time.ms += LOOK_AGAIN_MS;
  expect(await away.look()).toMatchObject({ oldest: 3, newest: 4 });
});

test('each of several new record keys must open', async () => {
  const { secrets, keys, rotating, time } = await twoFrontends();
  await rotating.makeNext();
  await rotating.makeNext();
  const rubbish = await withRubbish(2, (await secrets.findSecret('record-key-1'))!);
  const find = secrets.findSecret.bind(secrets);
  secrets.findSecret = async (name) => (name === 'record-key-2' ? rubbish : find(name));
  time.ms += LOOK_AGAIN_MS;
  await expect(keys.look()).rejects.toThrow('record key 2 does not open');
  secrets.findSecret = find;
  expect((await keys.look()).newest).toBe(3);
  Object.assign(secrets, { findSecret: async () => undefined });
  for (const number of [1, 2, 3]) expect(await keys.find(number)).toBeDefined();
});

test('what is no string, or longer than a token, in the place of the next record key stops writes, and no read', async () => {
  const { secrets, keys, time, macs: reader, before } = await twoFrontends();
  const find = secrets.findSecret.bind(secrets);
  secrets.findSecret = async (name) => {
    if (name === 'record-key-2') throw new DamagedRecordError('kf:secret:{record-key-2} is a hash');
    return find(name);
  };
  time.ms += LOOK_AGAIN_MS;
  await expect(reader.withMac(place, record)).rejects.toThrow('kf:secret:{record-key-2} is a hash');
  expect(await reader.verified(place, before)).toBe(record);
  secrets.findSecret = find;
  expect((await keys.newest()).number).toBe(1);
});

test('what is no token at all is not followed', async () => {
  const { secrets, keys, time } = await twoFrontends();
  await secrets.insertSecret('record-key-2', Buffer.from('x'));
  time.ms += LOOK_AGAIN_MS;
  await expect(keys.look()).rejects.toThrow('record key 2 does not open');
});

describe('while what stands under the next number does not open', () => {
  const planted = (header: Uint8Array) => withRubbish(2, header);

  test.each([
    ['at work', 'a header that anybody can write', planted],
    ['at work', 'no token at all', async () => Buffer.from('x')],
    ['that starts', 'a header that anybody can write', planted],
    ['that starts', 'no token at all', async () => Buffer.from('x')],
  ])('a frontend %s reads what is under the keys in use, and writes nothing: %s', async (which, _, tokenFrom) => {
    const { secrets, hsm, domain, keys, time, before } = await twoFrontends();
    const token = await tokenFrom((await secrets.findSecret('record-key-1'))!);
    const find = secrets.findSecret.bind(secrets);
    secrets.findSecret = async (name) => (name === 'record-key-2' ? token : find(name));
    time.ms += LOOK_AGAIN_MS;
    const clock = { now: Date.now };
    const monotonicClock = { now: () => time.ms };
    const started = new FleetRecordKeys({ secrets, hsm, domain, clock, monotonicClock });
    const one = which === 'at work' ? keys : started;
    const macs = new RecordMacs(one);
    expect(await macs.verified(place, before)).toBe(record);
    const asked = hsm.executed.length;
    for (let reads = 0; reads < 9; reads++) expect(await macs.verified(place, before)).toBe(record);
    expect(hsm.executed.length).toBe(asked);
    const refused = 'record key 2 does not open';
    await expect(macs.withMac(place, record)).rejects.toThrow(refused);
    await expect(macs.verified(place, before.replace('"mac":"1.', '"mac":"2.'))).rejects.toThrow(refused);

    // Resealing goes on as well. What nobody can tell holds up the retirement of domain keys.
    expect(await one.uses(1, (await find('record-key-1'))!)).toBe(true);
    for (const number of [2, 3]) await expect(one.uses(number, token)).rejects.toThrow(refused);

    secrets.findSecret = find;
    expect((await macs.withMac(place, record)).keyNumber).toBe(1);
  });

  test('because no HSM is in reach, a frontend reads with the keys that it has', async () => {
    const { hsm, keys, rotating, time, before } = await twoFrontends();
    await keys.look();
    await rotating.makeNext();
    hsm.failure = new HsmUnavailableError('timed-out');
    time.ms += LOOK_AGAIN_MS;
    expect(await new RecordMacs(keys).verified(place, before)).toBe(record);
  });
});

test('a frontend that starts uses the newest record key though the one before does not open', async () => {
  const { secrets, hsm, domain, rotating, before } = await twoFrontends();
  await rotating.makeNext();
  const rubbish = await withRubbish(1, (await secrets.findSecret('record-key-1'))!);
  const find = secrets.findSecret.bind(secrets);
  secrets.findSecret = async (name) => (name === 'record-key-1' ? rubbish : find(name));
  const started = new RecordMacs(new FleetRecordKeys({ secrets, hsm, domain, clock: { now: Date.now } }));
  expect((await started.withMac(place, record)).keyNumber).toBe(2);
  await expect(started.verified(place, before)).rejects.toThrow('record key 1 does not open');
});

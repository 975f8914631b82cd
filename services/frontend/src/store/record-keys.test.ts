import { FakeDomain } from '@keyfleet/test-support/fakes/fake-domain';
import { FakeHsm } from '@keyfleet/test-support/fakes/fake-hsm';
import { newDisk, place, record, startWith, twoFrontends, withRubbish } from '@keyfleet/test-support/record-key-fleet';
import { describe, expect, test } from 'vitest';
import { MemoryStore } from './memory-store.ts';
import { FleetRecordKeys, LOOK_AGAIN_MS } from './record-keys.ts';
import { RecordMacs } from './record-macs.ts';
import { splitMac } from './record-mac.ts';
import { HsmUnavailableError } from '../hsm/commands.ts';

const numberOf = (stored: string) => splitMac(stored)?.keyNumber;

test('frontends have the same record key, which an HSM opens once for all who ask at once', async () => {
  const [secrets, hsm, clock, domain] = [new MemoryStore(), new FakeHsm(), { now: Date.now }, new FakeDomain()];
  const open = () => new RecordMacs(new FleetRecordKeys({ secrets, hsm, domain, clock }));
  const [one, two] = [open(), open()];
  const { text: stored } = await one.withMac(place, record);
  const executed = hsm.executed.length;
  await Promise.all(Array.from({ length: 9 }, () => two.verified(place, stored)));
  expect(hsm.executed.length).toBe(executed + 1);
});

test('a newer record key is used as soon as a record under it is read', async () => {
  const { macs: old, before, rotating } = await twoFrontends();
  await rotating.makeNext();
  const { text: after } = await new RecordMacs(rotating).withMac(place, record);
  expect([numberOf(before), numberOf(after)]).toEqual([1, 2]);
  expect(await old.verified(place, after)).toBe(record);
  expect((await old.withMac(place, record)).keyNumber).toBe(2);
  expect(await old.verified(place, before)).toBe(record);
});

test('a frontend that only writes finds the newer record key two seconds later', async () => {
  const { macs: old, time, rotating } = await twoFrontends();
  await rotating.makeNext();
  expect((await old.withMac(place, record)).keyNumber).toBe(1);
  time.ms += LOOK_AGAIN_MS;
  expect((await old.withMac(place, record)).keyNumber).toBe(2);
});

test('a record key that was dropped is not used again, not even when it is put back', async () => {
  const { secrets, macs: reader, time, rotating, before } = await twoFrontends();
  await rotating.makeNext();
  secrets.oldestRecordKey = 2;
  time.ms += LOOK_AGAIN_MS;
  await expect(reader.verified(place, before)).rejects.toThrow('record key 1, which does not exist');
  secrets.oldestRecordKey = undefined;
  time.ms += LOOK_AGAIN_MS;
  await expect(reader.verified(place, before)).rejects.toThrow('record key 1, which does not exist');
});

test('after a restore that an operator accepted, the record keys of the backup are used', async () => {
  const { secrets, macs: reader, keys, time, rotating, before } = await twoFrontends();
  await rotating.makeNext();
  secrets.oldestRecordKey = 2;
  time.ms += LOOK_AGAIN_MS;
  await expect(reader.verified(place, before)).rejects.toThrow('does not exist');
  secrets.oldestRecordKey = undefined;
  keys.forget([]);
  expect(await reader.verified(place, before)).toBe(record);
});

test('if older record keys are dropped and the newest is gone, no other is made in its place', async () => {
  const [secrets, hsm, clock, domain] = [new MemoryStore(), new FakeHsm(), { now: Date.now }, new FakeDomain()];
  secrets.oldestRecordKey = 3;
  const writing = new RecordMacs(new FleetRecordKeys({ secrets, hsm, domain, clock })).withMac(place, record);
  await expect(writing).rejects.toThrow('record key 3 is missing');
  expect(await secrets.findSecret('record-key-3')).toBeUndefined();
});

test('a record key that is taken away is not made anew', async () => {
  const { secrets, hsm, domain, time, rotating } = await twoFrontends();
  await rotating.makeNext();
  const clock = { now: Date.now };
  const started = new FleetRecordKeys({ secrets, hsm, domain, clock, monotonicClock: { now: () => time.ms } });
  expect((await started.newest()).number).toBe(2);
  const made = hsm.executed.filter((command) => command === 'GenerateCredential').length;
  domain.rotate(0);
  Object.assign(secrets, { findSecret: async () => undefined });
  time.ms += LOOK_AGAIN_MS;
  expect(await started.find(1)).toBeDefined();
  expect((await started.newest()).number).toBe(2);
  expect(hsm.executed.filter((command) => command === 'GenerateCredential').length).toBe(made);
});

test('a next record key from before a removal is followed, by who looks only after it', async () => {
  const { domain, keys, rotating, time } = await twoFrontends();
  await rotating.makeNext();
  domain.rotate(0, { afterRemoval: true });
  time.ms += LOOK_AGAIN_MS;
  expect((await keys.newest()).number).toBe(2);
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

test('an acceptance of another store holds though it comes while a frontend looks', async () => {
  await using disk = await newDisk();
  const fleet = await twoFrontends();
  await fleet.rotating.makeNext();
  const found = Promise.withResolvers<void>();
  let [used, answering] = [fleet.secrets, Promise.resolve()];
  const secrets = Object.assign(new MemoryStore(), {
    findSecret: async (name: string) => {
      const secret = await used.findSecret(name);
      await answering;
      return secret;
    },
  });
  const keys = await startWith({ ...fleet, secrets }, disk.path);
  expect((await keys.look()).newest).toBe(2);
  [used, answering] = [new MemoryStore(), found.promise];
  const looking = keys.look();
  keys.forget(['store-a']);
  found.resolve();
  expect((await looking).newest).toBe(0);
  expect((await (await startWith({ ...fleet, secrets }, disk.path)).look()).newest).toBe(0);
});

test('what resealing carries along is the very record key that is used, whatever Redis shows under its number', async () => {
  const { secrets, hsm, domain, rotating, time } = await twoFrontends();
  const before = domain.active;
  const principal = 'keyfleet:frontends';
  const ownerOf = (number: number, id: string) => ({ accessKeyId: `keyfleet-record-key-${number}/${id}`, principal });
  const madeBy = async (number: number) => (await hsm.execute('GenerateCredential', ownerOf(number, before))).token;
  const early = [await madeBy(1), await madeBy(2), await madeBy(3)];
  hsm.sealsUnder = domain.rotate(0, { afterRemoval: true });
  await rotating.newest();
  await rotating.makeNext();
  const genuine = await Promise.all([1, 2].map(async (number) => (await secrets.findSecret(`record-key-${number}`))!));
  const uses = (tokens: readonly Uint8Array[]) =>
    Promise.all(tokens.map(async (token, i) => rotating.uses(i + 1, token)));
  expect(await uses(genuine)).toEqual([true, true]);
  expect(await uses(early)).toEqual([false, false, false]);

  // Another frontend has resealed the first one.
  const { secretAccessKey } = await hsm.execute('OpenCredential', { ...ownerOf(1, before), token: genuine[0]! });
  const resealed = (await hsm.execute('SealCredential', { ...ownerOf(1, before), secretAccessKey })).token;
  expect(await uses([resealed])).toEqual([true]);
  // One that no HSM opens may be the genuine one, so that it holds up the retirement.
  for (const damaged of [resealed.subarray(0, -1), Buffer.from('x')])
    await expect(uses([damaged])).rejects.toThrow('record key 1 does not open');

  secrets.oldestRecordKey = 2;
  time.ms += LOOK_AGAIN_MS;
  expect(await uses(genuine)).toEqual([false, true]);
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

test('what is no token at all is not followed', async () => {
  const { secrets, keys, time } = await twoFrontends();
  await secrets.insertSecret('record-key-2', Buffer.from('x'));
  time.ms += LOOK_AGAIN_MS;
  await expect(keys.look()).rejects.toThrow('record key 2 does not open');
});

test('a record key that nobody would follow is not stored: made by an HSM with an older domain token, or a newer one', async () => {
  const { secrets, hsm, domain, rotating } = await twoFrontends();
  const [older, middle] = [domain.active, domain.rotate(0)];
  hsm.sealsUnder = middle;
  await rotating.makeNext();
  const known = domain.state;
  for (const sealsUnder of [older, domain.rotate(0)]) {
    domain.state = known;
    hsm.sealsUnder = sealsUnder;
    await expect(rotating.makeNext()).rejects.toThrow('has another domain token than the newest that is known here');
    expect(await secrets.findSecret('record-key-3')).toBeUndefined();
  }
  hsm.sealsUnder = middle;
  expect(await rotating.makeNext()).toEqual({ number: 3, madeIn: 2 });
});

test('who only reads makes no record key', async () => {
  const [secrets, hsm, clock, domain] = [new MemoryStore(), new FakeHsm(), { now: Date.now }, new FakeDomain()];
  const keys = new FleetRecordKeys({ secrets, hsm, domain, clock });
  for (const number of [1, 2]) expect(await keys.find(number)).toBeUndefined();
  expect(hsm.executed).toEqual([]);
  expect((await keys.newest()).number).toBe(1);
  expect(await keys.find(1)).toBeDefined();
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

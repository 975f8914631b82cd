import { FakeDomain } from '@keyfleet/test-support/fakes/fake-domain';
import { FakeHsm } from '@keyfleet/test-support/fakes/fake-hsm';
import { newDisk, place, record, startWith, twoFrontends } from '@keyfleet/test-support/record-key-fleet';
import { expect, test } from 'vitest';
import { MemoryFleetSecrets } from './memory-fleet-secrets.ts';
import { FleetRecordKeys, LOOK_AGAIN_MS } from './record-keys.ts';
import { RecordMacs } from './record-macs.ts';
import { splitMac } from './record-mac.ts';

const numberOf = (stored: string) => splitMac(stored)?.keyNumber;

test('frontends have the same record key, which an HSM opens once for all who ask at once', async () => {
  const [secrets, hsm, clock, domain] = [new MemoryFleetSecrets(), new FakeHsm(), { now: Date.now }, new FakeDomain()];
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
  const [secrets, hsm, clock, domain] = [new MemoryFleetSecrets(), new FakeHsm(), { now: Date.now }, new FakeDomain()];
  secrets.oldestRecordKey = 3;
  const writing = new RecordMacs(new FleetRecordKeys({ secrets, hsm, domain, clock })).withMac(place, record);
  await expect(writing).rejects.toThrow('record key 3 is missing');
  expect(await secrets.findSecret('record-key-3')).toBeUndefined();
});

test('where it is no longer noted which record key is the oldest, whoever writes notes it again, and nobody makes a first one', async () => {
  const { secrets, hsm, domain, macs: running, time, rotating } = await twoFrontends();
  for (let made = 0; made < 2; made++) await rotating.makeNext();
  secrets.oldestRecordKey = 3;
  time.ms += LOOK_AGAIN_MS;
  expect((await running.withMac(place, record)).keyNumber).toBe(3);
  secrets.oldestRecordKey = undefined;
  const dropped = {
    findSecret: async (name: string) => (name === 'record-key-3' ? secrets.findSecret(name) : undefined),
  };
  const shown = Object.assign(Object.create(secrets) as typeof secrets, dropped);
  const starting = new RecordMacs(new FleetRecordKeys({ secrets: shown, hsm, domain, clock: { now: Date.now } }));
  await expect(starting.withMac(place, record)).rejects.toThrow('record key 1 is missing');
  expect(secrets.oldestRecordKey).toBeUndefined();
  time.ms += LOOK_AGAIN_MS;
  await running.withMac(place, record);
  expect(secrets.oldestRecordKey).toBe(3);
  expect((await starting.withMac(place, record)).keyNumber).toBe(3);
});

test('an acceptance of another store holds though it comes while a frontend looks', async () => {
  await using disk = await newDisk();
  const fleet = await twoFrontends();
  await fleet.rotating.makeNext();
  const found = Promise.withResolvers<void>();
  let [used, answering] = [fleet.secrets, Promise.resolve()];
  const secrets = Object.assign(new MemoryFleetSecrets(), {
    findSecret: async (name: string) => {
      const secret = await used.findSecret(name);
      await answering;
      return secret;
    },
  });
  const keys = await startWith({ ...fleet, secrets }, disk.path);
  expect((await keys.look()).newest).toBe(2);
  [used, answering] = [new MemoryFleetSecrets(), found.promise];
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
  const [secrets, hsm, clock, domain] = [new MemoryFleetSecrets(), new FakeHsm(), { now: Date.now }, new FakeDomain()];
  const keys = new FleetRecordKeys({ secrets, hsm, domain, clock });
  for (const number of [1, 2]) expect(await keys.find(number)).toBeUndefined();
  expect(hsm.executed).toEqual([]);
  expect((await keys.newest()).number).toBe(1);
  expect(await keys.find(1)).toBeDefined();
});

test('it is said once that older record keys are dropped', async () => {
  const { secrets, hsm, domain, rotating, time } = await twoFrontends();
  const dropped: number[] = [];
  const deps = { secrets, hsm, domain, clock: { now: Date.now }, monotonicClock: { now: () => time.ms } };
  const keys = new FleetRecordKeys({ ...deps, onDropped: (oldest) => dropped.push(oldest) });
  await keys.look();
  await rotating.makeNext();
  await keys.look();
  secrets.oldestRecordKey = 2;
  for (let looks = 0; looks < 2; looks++) await keys.look();
  expect(dropped).toEqual([2]);
});

test.each(['made by this release', 'of an earlier one'])(
  'the first record key, %s, is not made anew once it is lost',
  async (which) => {
    const { secrets, hsm, domain, rotating, time } = await twoFrontends();
    if (which === 'of an earlier one') {
      secrets.oldestRecordKey = undefined;
      await rotating.newest();
    }
    expect(secrets.oldestRecordKey).toBe(1);
    const lossy = Object.assign(new MemoryFleetSecrets(), { oldestRecordKey: 1 });
    const clock = { now: Date.now };
    const started = new FleetRecordKeys({ secrets: lossy, hsm, domain, clock, monotonicClock: { now: () => time.ms } });
    await expect((async () => started.newest())()).rejects.toThrow('record key 1 is missing');
    expect(await lossy.findSecret('record-key-1')).toBeUndefined();
  },
);

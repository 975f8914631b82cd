import { randomBytes } from 'node:crypto';
import { mkdtempDisposable, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { splitMac } from './record-mac.ts';
import { openRecordKeyFloor } from './record-key-floor.ts';
import { FleetRecordKeys, LOOK_AGAIN_MS } from './record-keys.ts';
import { RecordMacs } from './record-macs.ts';
import { MemoryStore } from './memory-store.ts';
import { DamagedRecordError } from './store.ts';
import { HsmUnavailableError } from '../hsm/commands.ts';
import { FakeDomain } from '@keyfleet/test-support/fakes/fake-domain';
import { FakeHsm } from '@keyfleet/test-support/fakes/fake-hsm';

const place = { name: 'kf:key:{us-east-1/x}', field: 'record' };
const record = '{"schemaVersion":1,"policy":",\\"mac\\":\\"1.x\\"}"}';

test('frontends have the same record key, which an HSM opens once for all who ask at once', async () => {
  const [secrets, hsm, clock, domain] = [new MemoryStore(), new FakeHsm(), { now: Date.now }, new FakeDomain()];
  const open = () => new RecordMacs(new FleetRecordKeys({ secrets, hsm, domain, clock }));
  const [one, two] = [open(), open()];
  const { text: stored } = await one.withMac(place, record);
  const executed = hsm.executed.length;
  await Promise.all(Array.from({ length: 9 }, () => two.verified(place, stored)));
  expect(hsm.executed.length).toBe(executed + 1);
});

async function twoFrontends() {
  const [secrets, hsm, clock, domain] = [new MemoryStore(), new FakeHsm(), { now: Date.now }, new FakeDomain()];
  const time = { ms: 0 };
  const open = () => new FleetRecordKeys({ secrets, hsm, domain, clock, monotonicClock: { now: () => time.ms } });
  const [rotating, keys] = [open(), open()];
  const { text: before } = await new RecordMacs(keys).withMac(place, record);
  return { secrets, hsm, domain, time, rotating, keys, macs: new RecordMacs(keys), before };
}
const numberOf = (stored: string) => splitMac(stored)?.keyNumber;

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

test('a record key that a former frontend had made in advance is not used, once there is one from after its removal', async () => {
  const { secrets, hsm, domain, time, rotating, keys } = await twoFrontends();
  const kept = new MemoryStore();
  const clock = { now: Date.now };
  const former = new FleetRecordKeys({ secrets: kept, hsm, domain, clock });
  for (let number = 1; number <= 3; number++) await former.makeNext();
  const plant = async (number: number) =>
    void (await secrets.insertSecret(`record-key-${number}`, (await kept.findSecret(`record-key-${number}`))!));

  hsm.sealsUnder = domain.rotate(0, { afterRemoval: true });
  expect(await rotating.makeNext()).toEqual({ number: 2, madeIn: 2 });
  await plant(3);
  time.ms += LOOK_AGAIN_MS;
  expect((await keys.newest()).number).toBe(2);
  expect(await keys.find(3)).toBeUndefined();
  await expect(rotating.makeNext()).rejects.toThrow('Remove kf:secret:{record-key-3}');
  expect(await new FleetRecordKeys({ secrets, hsm, domain, clock }).look()).toMatchObject({ oldest: 1, newest: 2 });
});

/** A record key that a former frontend had made before its removal stands in the place of the oldest one. */
async function plantedInPlaceOfTheOldest() {
  const fleet = await twoFrontends();
  const { secrets, hsm, domain, rotating, time } = fleet;
  const sealedFor = { accessKeyId: `keyfleet-record-key-7/${domain.active}`, principal: 'keyfleet:frontends' };
  const { token } = await hsm.execute('GenerateCredential', sealedFor);
  hsm.sealsUnder = domain.rotate(0, { afterRemoval: true });
  await rotating.makeNext();
  time.ms += LOOK_AGAIN_MS;
  await fleet.keys.newest();
  await secrets.insertSecret('record-key-7', token);
  secrets.oldestRecordKey = 7;
  time.ms += LOOK_AGAIN_MS;
  return fleet;
}

test('a record key that was made in advance is not used in the place of the oldest by who knows a newer one', async () => {
  const { keys, rotating, macs: reader } = await plantedInPlaceOfTheOldest();
  await expect(reader.withMac(place, record)).rejects.toThrow('remove kf:secret:{record-key-7}');
  for (const one of [keys, rotating]) await expect(one.look()).rejects.toThrow('is said to be the oldest');
});

/** A frontend that writes down on `disk` which record keys it has followed. */
async function startWith({ secrets, hsm, domain, time }: Awaited<ReturnType<typeof twoFrontends>>, disk: string) {
  const floor = await openRecordKeyFloor({ dataDir: disk, domain: 'test', storeId: () => 'store-a' });
  const clock = { now: Date.now };
  return new FleetRecordKeys({ secrets, hsm, domain, clock, monotonicClock: { now: () => time.ms }, floor });
}
const newDisk = () => mkdtempDisposable(join(tmpdir(), 'keyfleet-'));

test('a frontend that starts with its disk follows no record key that was made in advance of a newer one', async () => {
  await using disk = await newDisk();
  const fleet = await plantedInPlaceOfTheOldest();
  fleet.secrets.oldestRecordKey = 2;
  expect(await (await startWith(fleet, disk.path)).look()).toMatchObject({ oldest: 2, newest: 2 });
  fleet.secrets.oldestRecordKey = 7;
  await expect((await startWith(fleet, disk.path)).look()).rejects.toThrow('record key 7 is said to be the oldest');
  fleet.secrets.oldestRecordKey = undefined;
  expect(await (await startWith(fleet, disk.path)).look()).toMatchObject({ oldest: 2, newest: 2 });
});

test('a record key that somebody who left may have is not written down', async () => {
  await using disk = await newDisk();
  const fleet = await plantedInPlaceOfTheOldest();
  expect((await (await startWith(fleet, disk.path)).look()).newest).toBe(7);
  fleet.secrets.oldestRecordKey = undefined;
  expect(await (await startWith(fleet, disk.path)).look()).toMatchObject({ oldest: 1, newest: 2 });
});

test('a frontend that starts with its disk makes no record key in the place of one that is lost', async () => {
  await using disk = await newDisk();
  const fleet = await twoFrontends();
  await fleet.rotating.makeNext();
  await (await startWith(fleet, disk.path)).look();
  const lossy = { ...fleet, secrets: new MemoryStore() };
  await expect((await startWith(lossy, disk.path)).newest()).rejects.toThrow('record key 2 is missing');

  // An operator's word for another store, from earlier, lies in Redis for whoever writes there.
  const misled = await startWith(lossy, disk.path);
  misled.forget(['store-0']);
  await expect(misled.newest()).rejects.toThrow('record key 2 is missing');

  const accepting = await startWith(lossy, disk.path);
  accepting.forget(['store-a']);
  expect((await accepting.newest()).number).toBe(1);
  expect((await (await startWith(lossy, disk.path)).newest()).number).toBe(1);
});

/** As anybody can write it who has read the id of the active domain key: only its header is well-formed. */
async function withRubbish(number: number, token: Uint8Array): Promise<Buffer> {
  const rubbish = Buffer.from(token);
  Buffer.from(`record-key-${number}`).copy(rubbish, rubbish.indexOf('record-key-'));
  return Buffer.concat([rubbish.subarray(0, -16), randomBytes(16)]);
}

test.each([
  ['at work', 'before a removal'],
  ['at work', 'after one'],
  ['that starts', 'before a removal'],
  ['that starts', 'after one'],
])('a frontend %s follows no record key that nobody made, %s, and writes none down', async (which, when) => {
  await using disk = await newDisk();
  const fleet = await twoFrontends();
  const { secrets, domain, time } = fleet;
  const atWork = await startWith(fleet, disk.path);
  await atWork.newest();
  const written = async () => readFile(join(disk.path, 'record-key-floor.json'), 'utf8');
  const before = await written();
  const planted = await withRubbish(2, (await secrets.findSecret('record-key-1'))!);
  if (when === 'after one') domain.rotate(0, { afterRemoval: true });
  const find = secrets.findSecret.bind(secrets);
  secrets.findSecret = async (name) => (name === 'record-key-2' ? planted : find(name));
  time.ms += LOOK_AGAIN_MS;
  const frontend = which === 'at work' ? atWork : await startWith(fleet, disk.path);
  const refused = 'record key 2 does not open. If nobody replaced the record key, remove kf:secret:{record-key-2}';
  await expect((async () => frontend.newest())()).rejects.toThrow(refused);
  await expect(frontend.find(2)).rejects.toThrow(DamagedRecordError);
  expect(await written()).toBe(before);

  secrets.findSecret = find;
  for (const one of [frontend, await startWith(fleet, disk.path)]) expect((await one.newest()).number).toBe(1);
  expect(await secrets.findSecret('record-key-2')).toBeUndefined();
});

test('the first record key is written down only if it opens', async () => {
  await using disk = await newDisk();
  const fleet = await twoFrontends();
  const secrets = new MemoryStore();
  await secrets.insertSecret('record-key-1', await withRubbish(1, (await fleet.secrets.findSecret('record-key-1'))!));
  await expect((await startWith({ ...fleet, secrets }, disk.path)).look()).rejects.toThrow(
    'record key 1 does not open',
  );
  expect((await (await startWith({ ...fleet, secrets: new MemoryStore() }, disk.path)).newest()).number).toBe(1);
});

test('a record key that is taken away or changed while a frontend opens it is not made anew', async () => {
  const { secrets, keys, rotating, time } = await twoFrontends();
  await rotating.makeNext();
  const find = secrets.findSecret.bind(secrets);
  let shown = 0;
  secrets.findSecret = async (name) => (name === 'record-key-2' && shown++ > 0 ? undefined : find(name));
  time.ms += LOOK_AGAIN_MS;
  await expect((async () => keys.newest())()).rejects.toThrow('record key 2 does not open');
  secrets.findSecret = find;
  expect((await keys.newest()).number).toBe(2);
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
  expect((await looking).newest).toBe(1);
  expect((await (await startWith({ ...fleet, secrets }, disk.path)).look()).newest).toBe(1);
});

test('a frontend that starts with its disk believes no record key that was made in advance under the same number', async () => {
  await using disk = await newDisk();
  const fleet = await twoFrontends();
  const { secrets, hsm, domain, rotating } = fleet;
  const sealedFor = { accessKeyId: `keyfleet-record-key-2/${domain.active}`, principal: 'keyfleet:frontends' };
  const planted = new MemoryStore();
  await planted.insertSecret('record-key-2', (await hsm.execute('GenerateCredential', sealedFor)).token);
  hsm.sealsUnder = domain.rotate(0, { afterRemoval: true });
  await rotating.makeNext();
  expect((await (await startWith(fleet, disk.path)).newest()).number).toBe(2);
  const start = async (store: MemoryStore) => startWith({ ...fleet, secrets: store }, disk.path);
  await expect((await start(planted)).newest()).rejects.toThrow(
    'record key 2 is another than this frontend used before',
  );
  for (let rotations = 0; rotations < 2; rotations++) domain.rotate(0);
  domain.keepNewest(2);
  expect((await (await start(secrets)).newest()).number).toBe(2);
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

test('a frontend that starts without a disk and knows no newer one uses it: a limit that SECURITY.md names', async () => {
  const { secrets, hsm, domain } = await plantedInPlaceOfTheOldest();
  const started = new FleetRecordKeys({ secrets, hsm, domain, clock: { now: Date.now } });
  expect((await started.newest()).number).toBe(7);
});

test('a record key that was made in advance is not used once the domain keys that tell when are dropped', async () => {
  const { secrets, hsm, domain, rotating, keys, time } = await twoFrontends();
  const sealedFor = { accessKeyId: `keyfleet-record-key-3/${domain.active}`, principal: 'keyfleet:frontends' };
  const { token } = await hsm.execute('GenerateCredential', sealedFor);
  hsm.sealsUnder = domain.rotate(0, { afterRemoval: true });
  secrets.oldestRecordKey = (await rotating.makeNext()).number;
  await secrets.insertSecret('record-key-3', token);
  time.ms += LOOK_AGAIN_MS;
  await keys.look();
  for (let rotations = 0; rotations < 2; rotations++) domain.rotate(0);
  domain.keepNewest(2);
  time.ms += LOOK_AGAIN_MS;
  for (const one of [keys, rotating, new FleetRecordKeys({ secrets, hsm, domain, clock: { now: Date.now } })])
    expect(await one.look()).toMatchObject({ oldest: 2, newest: 2 });
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

test('a frontend that was away follows no oldest record key that Redis shows in two ways', async () => {
  const { secrets, hsm, domain, keys, time } = await twoFrontends();
  const made = async () => {
    const sealedFor = { accessKeyId: `keyfleet-record-key-7/${domain.active}`, principal: 'keyfleet:frontends' };
    return (await hsm.execute('GenerateCredential', sealedFor)).token;
  };
  const early = await made();
  hsm.sealsUnder = domain.rotate(0, { afterRemoval: true });
  const late = await made();
  const find = secrets.findSecret.bind(secrets);
  let reads = 0;
  const showing = async (name: string) => (name !== 'record-key-7' ? find(name) : ++reads === 2 ? late : early);
  Object.assign(secrets, { findSecret: showing, oldestRecordKey: 7 });
  time.ms += LOOK_AGAIN_MS;
  await expect(keys.look()).rejects.toThrow('record key 7 is said to be the oldest');
});

test('a record key that a member which has not heard of a removal sealed is none from after it', async () => {
  const { secrets, hsm, domain, rotating } = await twoFrontends();
  const id = domain.rotate(0, { afterRemoval: true });
  const sealedFor = { accessKeyId: `keyfleet-record-key-2/${id}`, principal: 'keyfleet:frontends' };
  const { token } = await hsm.execute('GenerateCredential', sealedFor);
  await secrets.insertSecret('record-key-2', token);
  expect(await rotating.look()).toMatchObject({ newest: 1 });
});

test('a record key from an unknowing member is not opened in the place of the oldest one, nor used any more by who opened it before it knew', async () => {
  const { secrets, hsm, domain, time, keys } = await twoFrontends();
  const known = domain.state;
  const id = domain.rotate(0, { afterRemoval: true });
  const sealedFor = { accessKeyId: `keyfleet-record-key-2/${id}`, principal: 'keyfleet:frontends' };
  await secrets.insertSecret('record-key-2', (await hsm.execute('GenerateCredential', sealedFor)).token);
  secrets.oldestRecordKey = 2;
  const after = domain.state;
  domain.state = known;
  const start = () =>
    new FleetRecordKeys({ secrets, hsm, domain, clock: { now: Date.now }, monotonicClock: { now: () => time.ms } });
  const unknowing = start();
  expect((await unknowing.newest()).number).toBe(2);
  time.ms += LOOK_AGAIN_MS;
  await expect(keys.look()).rejects.toThrow('record key 2 is said to be the oldest');
  domain.state = after;
  for (const one of [unknowing, start()]) {
    const writing = new RecordMacs(one).withMac(place, record);
    await expect(writing).rejects.toThrow('kf:secret:{record-key-2} is sealed under an older');
    await expect(writing).rejects.toThrow(DamagedRecordError);
  }
});

test('a record key that is moved to another number, or another secret of the fleet in its place, is not opened', async () => {
  const [hsm, domain] = [new FakeHsm(), new FakeDomain()];
  for (const name of ['record-key-2', 'record-key-11', 'session-token-key']) {
    const secrets = new MemoryStore();
    const sealedFor = { accessKeyId: `keyfleet-${name}/${domain.active}`, principal: 'keyfleet:frontends' };
    await secrets.insertSecret('record-key-1', (await hsm.execute('GenerateCredential', sealedFor)).token);
    const moved = new FleetRecordKeys({ secrets, hsm, domain, clock: { now: Date.now } });
    await expect(new RecordMacs(moved).withMac(place, record)).rejects.toThrow('belongs elsewhere');
  }
});

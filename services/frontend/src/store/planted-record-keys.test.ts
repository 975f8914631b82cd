import { FakeDomain } from '@keyfleet/test-support/fakes/fake-domain';
import { FakeHsm } from '@keyfleet/test-support/fakes/fake-hsm';
import { newDisk, place, record, startWith, twoFrontends } from '@keyfleet/test-support/record-key-fleet';
import { beforeEach, describe, expect, test } from 'vitest';
import { MemoryFleetSecrets } from './memory-fleet-secrets.ts';
import { noRecordKeyFloor } from './record-key-floor.ts';
import type { MadeRecordKey } from './record-key.ts';
import { FleetRecordKeys, LOOK_AGAIN_MS } from './record-keys.ts';
import { RecordMacs } from './record-macs.ts';
import { DamagedRecordError } from './store.ts';

describe('a former frontend that had record keys made in advance, and writes Redis', () => {
  let secrets: MemoryFleetSecrets;
  let hsm: FakeHsm;
  let domain: FakeDomain;
  /** What it kept, by name. */
  let kept: MemoryFleetSecrets;
  let now: number;
  const monotonicClock = { now: () => now };

  const open = (store = secrets, known?: MadeRecordKey) => {
    const lowest = known && { oldest: 1, newest: known.number, madeIn: known.madeIn, fingerprints: {} };
    const floor = { ...noRecordKeyFloor, lowest };
    return new FleetRecordKeys({ secrets: store, hsm, domain, clock: { now: Date.now }, monotonicClock, floor });
  };
  const keptToken = async (name: string) => (await kept.findSecret(name))!;

  beforeEach(async () => {
    [secrets, hsm, domain, kept, now] = [
      new MemoryFleetSecrets(),
      new FakeHsm(),
      new FakeDomain(),
      new MemoryFleetSecrets(),
      0,
    ];
    await open().newest();
    const former = open(kept);
    for (let made = 0; made < 3; made++) await former.makeNext();
    hsm.sealsUnder = domain.rotate(0, { afterRemoval: true });
  });

  test('does not have its own stored in the moment in which the next one is made', async () => {
    const racing = Object.assign(secrets, {
      insertSecret: async (name: string) => keptToken(name),
    });
    await expect(open(racing).makeNext()).rejects.toThrow('Remove kf:secret:{record-key-2}');
  });

  test('does not have hundreds opened at every look, however many it puts there', async () => {
    const planted = new Map<string, Uint8Array>();
    const { state } = domain;
    hsm.sealsUnder = state.domainKeys[0]!.id;
    for (let number = 2; number < 200; number++) {
      const accessKeyId = `keyfleet-record-key-${number}/${hsm.sealsUnder}`;
      const made = await hsm.execute('GenerateCredential', { accessKeyId, principal: 'keyfleet:frontends' });
      planted.set(`record-key-${number}`, made.token);
    }
    hsm.sealsUnder = domain.active;
    const stored = secrets.findSecret.bind(secrets);
    let reads = 0;
    secrets.findSecret = async (name) => {
      reads++;
      return planted.get(name) ?? stored(name);
    };
    const execute = hsm.execute.bind(hsm);
    let opened = 0;
    const atWork = open();
    await atWork.find(1);
    hsm.execute = (async (...input: Parameters<typeof execute>) => {
      opened++;
      return execute(...input);
    }) as typeof hsm.execute;
    now += LOOK_AGAIN_MS;
    reads = 0;
    await expect(atWork.look()).rejects.toThrow('record key 2');
    expect(await atWork.find(1)).toBeDefined();
    expect(opened).toBeLessThan(4);
    expect(reads).toBeLessThan(25);
    // Operators make the next one in their place: it is followed.
    planted.clear();
    const { number } = await open().makeNext();
    now += LOOK_AGAIN_MS;
    expect(await atWork.look()).toMatchObject({ newest: number });
  });

  test('and a worker that has not heard of its removal: what it makes is not stored', async () => {
    hsm.sealsUnder = domain.state.domainKeys[0]!.id;
    await expect(open().makeNext()).rejects.toThrow('has another domain token than the newest');
    expect(await secrets.findSecret('record-key-2')).toBeUndefined();
    hsm.sealsUnder = domain.active;
    expect(await open().makeNext()).toEqual({ number: 2, madeIn: 2 });
  });

  test('does not pass one off under the number of the newest, for who knows when that was made', async () => {
    const known = await open().makeNext();
    expect(known).toEqual({ number: 2, madeIn: 2 });
    expect(await open(secrets, known).look()).toMatchObject({ newest: 2 });
    secrets.findSecret = keptToken;
    await expect(open(secrets, known).look()).rejects.toThrow('record key 2 is another');
  });

  test.each(['a frontend at work', 'one that starts'])('does not show one and have %s open another', async (which) => {
    const atWork = open();
    await atWork.newest();
    const rotating = open();
    await rotating.makeNext();
    const genuine = (await rotating.newest()).key;
    now += LOOK_AGAIN_MS;
    const frontend = which === 'one that starts' ? open() : atWork;
    await frontend.look();
    secrets.findSecret = keptToken;
    expect((await frontend.newest()).key.equals(genuine)).toBe(true);
  });

  test('does not choose which generation is told of the key that is made', async () => {
    const find = secrets.findSecret.bind(secrets);
    const showing = async (name: string) => ((await find(name)) === undefined ? undefined : keptToken(name));
    const racing = Object.assign(secrets, { findSecret: showing });
    expect(await open(racing).makeNext()).toEqual({ number: 2, madeIn: 2 });
  });

  test('does not show who makes the next key another in the place of the key before', async () => {
    const rotating = open();
    const known = await rotating.makeNext();
    const genuine = (await rotating.newest()).key;
    const atWork = open(secrets, known);
    await atWork.makeNext();
    secrets.findSecret = keptToken;
    expect((await atWork.find(2))?.equals(genuine)).toBe(true);
  });

  test('does not show a frontend that starts with what it knew another in the place of the key before', async () => {
    const rotating = open();
    const known = await rotating.makeNext();
    const genuine = (await rotating.newest()).key;
    await open(secrets, known).makeNext();
    const atWork = open(secrets, known);
    expect(await atWork.look()).toMatchObject({ newest: 3 });
    const find = secrets.findSecret.bind(secrets);
    secrets.findSecret = async (name) => (name === 'record-key-2' ? keptToken(name) : find(name));
    expect((await atWork.find(2))?.equals(genuine)).toBe(true);
  });

  test('does not pass one off for one of the first releases, which do not say when they were made', async () => {
    const [own, unnamed] = [await open().makeNext(), new MemoryFleetSecrets()];
    const known = { number: own.number, madeIn: 0 };
    const sealedFor = { accessKeyId: 'keyfleet-record-key-2', principal: 'keyfleet:frontends' };
    await unnamed.insertSecret('record-key-2', (await hsm.execute('GenerateCredential', sealedFor)).token);
    const refused = 'record key 2 is another';
    await expect(open(secrets, known).look()).rejects.toThrow(refused);
    // Nobody knows any more when it was made.
    domain.keepNewest(1);
    await expect(open(kept, known).look()).rejects.toThrow(refused);
    await expect(open(unnamed, own).look()).rejects.toThrow(refused);
    expect(await open(unnamed, known).look()).toMatchObject({ newest: 2 });
  });

  test('does not slip one in between what the command found and what it makes', async () => {
    const rotating = open();
    expect(await rotating.look()).toMatchObject({ newest: 1 });
    await secrets.insertSecret('record-key-2', await keptToken('record-key-2'));
    await expect(rotating.makeNext()).rejects.toThrow('Remove kf:secret:{record-key-2}');
  });
});

test('a record key that a former frontend had made in advance is not used, once there is one from after its removal', async () => {
  const { secrets, hsm, domain, time, rotating, keys } = await twoFrontends();
  const kept = new MemoryFleetSecrets();
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

test('a frontend that starts with its disk believes no record key that was made in advance under the same number', async () => {
  await using disk = await newDisk();
  const fleet = await twoFrontends();
  const { secrets, hsm, domain, rotating } = fleet;
  const sealedFor = { accessKeyId: `keyfleet-record-key-2/${domain.active}`, principal: 'keyfleet:frontends' };
  const planted = new MemoryFleetSecrets();
  await planted.insertSecret('record-key-2', (await hsm.execute('GenerateCredential', sealedFor)).token);
  hsm.sealsUnder = domain.rotate(0, { afterRemoval: true });
  await rotating.makeNext();
  expect((await (await startWith(fleet, disk.path)).newest()).number).toBe(2);
  const start = async (store: MemoryFleetSecrets) => startWith({ ...fleet, secrets: store }, disk.path);
  await expect((await start(planted)).newest()).rejects.toThrow(
    'record key 2 is another than this frontend used before',
  );
  for (let rotations = 0; rotations < 2; rotations++) domain.rotate(0);
  domain.keepNewest(2);
  expect((await (await start(secrets)).newest()).number).toBe(2);
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
    const secrets = new MemoryFleetSecrets();
    const sealedFor = { accessKeyId: `keyfleet-${name}/${domain.active}`, principal: 'keyfleet:frontends' };
    await secrets.insertSecret('record-key-1', (await hsm.execute('GenerateCredential', sealedFor)).token);
    const moved = new FleetRecordKeys({ secrets, hsm, domain, clock: { now: Date.now } });
    await expect(new RecordMacs(moved).withMac(place, record)).rejects.toThrow('belongs elsewhere');
  }
});

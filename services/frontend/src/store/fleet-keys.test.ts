import { randomBytes } from 'node:crypto';
import { CredentialToken } from '@keyfleet/hsm-worker/boundary/tokens/stored-token';
import { Writer } from '@keyfleet/shared/encoding/bytes';
import { domainKeyIdOf } from '@keyfleet/shared/hsm/exported-key-token';
import { FakeDomain } from '@keyfleet/test-support/fakes/fake-domain';
import { FakeHsm } from '@keyfleet/test-support/fakes/fake-hsm';
import { expect, test } from 'vitest';
import { Fleet } from './fleet-keys.ts';
import { MemoryStore } from './memory-store.ts';
import { DamagedRecordError } from './store.ts';

const DEADLINE = Number.MAX_SAFE_INTEGER;
const HOUR = 3_600_000;
const PRIVATE = { name: 'private', info: 'private', outlivesRemovals: false };
const HARMLESS = { name: 'harmless', info: 'harmless', outlivesRemovals: true };

/** The frontends of one fleet. `domain` is what all of them know, unless given another. */
function newFleet() {
  const [store, hsm, domain] = [new MemoryStore(), new FakeHsm(), new FakeDomain()];
  const time = { now: 0, monotonic: 0 };
  const foreign: string[] = [];
  const open = (name = PRIVATE, known = domain) =>
    new Fleet({
      store,
      hsm,
      domain: known,
      clock: { now: () => time.now },
      monotonicClock: { now: () => time.monotonic },
      events: { fleetKeyDropped: ({ message }) => void foreign.push(message) },
    }).keys(name);
  const rotate = (options?: { afterRemoval: boolean }) => (hsm.sealsUnder = domain.rotate(time.now, options));
  /** Which keys of a purpose are stored, by their domain keys. */
  const listed = (name: string) =>
    store.listFleetKeys(
      name,
      domain.state.domainKeys.map(({ id }) => id),
    );
  return { store, hsm, domain, time, foreign, open, rotate, listed };
}

/** What anybody makes who knows what everybody may, and which no member opens. */
function forged(name: string, domainKeyId: string): Buffer {
  const owner = { accessKeyId: `keyfleet-${name}/${domainKeyId}`, principal: 'keyfleet:frontends' };
  const writer = new Writer();
  writer.bytes(CredentialToken.encode({ domain: 'test', domainKeyId, ...owner }));
  writer.raw(randomBytes(68));
  return writer.finish();
}

test('frontends that need a key at the same time have the same', async () => {
  const { open, hsm } = newFleet();
  const frontends = [open(), open(), open()];
  const keys = await Promise.all(frontends.map(async (one) => one.newest(DEADLINE)));
  expect(new Set(keys.map(({ key }) => key.export().toString('hex'))).size).toBe(1);
  const executed = hsm.executed.length;
  for (const one of frontends) expect(one.newest(DEADLINE)).not.toBeInstanceOf(Promise);
  expect(hsm.executed.length).toBe(executed);
});

test('keys of two purposes are two', async () => {
  const { open } = newFleet();
  const [one, two] = [await open().newest(DEADLINE), await open(HARMLESS).newest(DEADLINE)];
  expect(one.key.export()).not.toEqual(two.key.export());
});

test('a key that somebody removed is put back by whoever uses it, so that who starts has the same', async () => {
  const { open, store } = newFleet();
  const keys = open();
  const { domainKeyId, key } = await keys.newest(DEADLINE);
  await store.dropFleetKey('private', domainKeyId);
  await keys.putBack();
  expect((await open().newest(DEADLINE)).key).toEqual(key);
});

test('a key that was removed and made again is named by whoever uses the one before', async () => {
  const { open, store } = newFleet();
  const keys = open();
  const { domainKeyId, key } = await keys.newest(DEADLINE);
  await store.dropFleetKey('private', domainKeyId);
  const other = await open().newest(DEADLINE);
  expect(other.key.equals(key)).toBe(false);
  await expect(keys.putBack()).rejects.toThrow(`kf:fleet-keys:{private} ${domainKeyId} is another key`);
  expect((await open().newest(DEADLINE)).key).toEqual(other.key);
});

test('a key that is not accepted any more, or was forgotten, is not put back', async () => {
  const { open, store, time, rotate, listed } = newFleet();
  const keys = open();
  const { domainKeyId } = await keys.newest(DEADLINE);
  rotate();
  time.now = 48 * HOUR;
  await store.dropFleetKey('private', domainKeyId);
  await keys.putBack();
  expect(await store.findFleetKey('private', domainKeyId)).toBeUndefined();
  const newest = await keys.newest(DEADLINE);
  keys.forget();
  await store.dropFleetKey('private', newest.domainKeyId);
  await keys.putBack();
  expect(await listed('private')).toEqual([]);
});

test('a rotation makes another key at once, and the former opens for 36 hours more', async () => {
  const { open, time, rotate } = newFleet();
  const keys = open();
  const former = await keys.newest(DEADLINE);
  time.now = 24 * HOUR;
  const id = rotate();
  expect((await keys.newest(DEADLINE)).domainKeyId).toBe(id);
  time.now += 36 * HOUR;
  expect(await keys.find(former.domainKeyId, DEADLINE)).toEqual(former.key);
  expect(await open().find(former.domainKeyId, DEADLINE)).toEqual(former.key);
  time.now += HOUR;
  expect(await keys.find(former.domainKeyId, DEADLINE)).toBeUndefined();
  expect(keys.accepts(former.domainKeyId)).toBe(false);
});

test('after a removal nothing from before is accepted, and another key is made at once', async () => {
  const { open, rotate } = newFleet();
  const keys = open();
  const former = await keys.newest(DEADLINE);
  expect(keys.accepts(former.domainKeyId)).toBe(true);
  const id = rotate({ afterRemoval: true });
  expect(keys.accepts(former.domainKeyId)).toBe(false);
  expect(await keys.find(former.domainKeyId, DEADLINE)).toBeUndefined();
  const newest = await keys.newest(DEADLINE);
  expect(newest.domainKeyId).toBe(id);
  expect(newest.key.export()).not.toEqual(former.key.export());
  const next = rotate();
  expect((await keys.newest(DEADLINE)).domainKeyId).toBe(next);
  expect(await keys.find(id, DEADLINE)).toEqual(newest.key);
});

test('a key that gives nothing to a former frontend stays in use after a removal, until its domain key is retired', async () => {
  const { open, domain, rotate } = newFleet();
  const keys = open(HARMLESS);
  const former = await keys.newest(DEADLINE);
  rotate({ afterRemoval: true });
  expect((await keys.newest(DEADLINE)).domainKeyId).toBe(domain.active);
  expect(await keys.find(former.domainKeyId, DEADLINE)).toEqual(former.key);
  domain.retire(former.domainKeyId);
  expect(await keys.find(former.domainKeyId, DEADLINE)).toBeUndefined();
});

test('while workers seal under the domain key from before, its key is used and they are asked every two seconds', async () => {
  const { open, hsm, domain, time, rotate } = newFleet();
  const keys = open();
  const former = await keys.newest(DEADLINE);
  const id = rotate();
  hsm.sealsUnder = former.domainKeyId;
  expect(await keys.newest(DEADLINE)).toEqual(former);
  const executed = hsm.executed.length;
  expect(await keys.newest(DEADLINE)).toEqual(former);
  expect(hsm.executed.length).toBe(executed);
  hsm.sealsUnder = domain.active;
  time.monotonic += 2_000;
  expect((await keys.newest(DEADLINE)).domainKeyId).toBe(id);
});

test('the first key of a fleet that is changing over is one that workers can seal', async () => {
  const { open, domain, time } = newFleet();
  const before = domain.active;
  domain.rotate(time.now);
  expect((await open().newest(DEADLINE)).domainKeyId).toBe(before);
});

test('after a removal a worker that has not heard of it gets no key made', async () => {
  const { open, domain, time, listed } = newFleet();
  domain.rotate(time.now, { afterRemoval: true });
  await expect(open().newest(DEADLINE)).rejects.toThrow('timed out');
  expect(await listed(PRIVATE.name)).toEqual([]);
});

test('a frontend that was not told of a domain key asks when it meets one that is stored, and for no other', async () => {
  const { open, hsm, domain, time } = newFleet();
  const behind = new FakeDomain();
  behind.onRefresh = () => (behind.state = domain.state);
  const slow = open(PRIVATE, behind);
  hsm.sealsUnder = domain.rotate(time.now);
  const { domainKeyId, key } = await open().newest(DEADLINE);
  expect(await slow.find('ab'.repeat(16), DEADLINE)).toBeUndefined();
  expect(behind.refreshed).toBe(0);
  expect(await slow.find(domainKeyId, DEADLINE)).toEqual(key);
  expect(behind.refreshed).toBe(1);
});

test('a key that is sealed under another domain key than it is stored for is dropped, and another made', async () => {
  const { open, hsm, store, domain, time, foreign } = newFleet();
  const before = domain.active;
  const id = domain.rotate(time.now, { afterRemoval: true });
  // What a former frontend gets from a worker that has not heard of the removal.
  const sealedFor = { accessKeyId: `keyfleet-private/${id}`, principal: 'keyfleet:frontends' };
  const { token } = await hsm.execute('GenerateCredential', sealedFor);
  expect(domainKeyIdOf(token)).toBe(before);
  await store.insertFleetKey(PRIVATE.name, id, token);
  hsm.sealsUnder = id;
  expect((await open().newest(DEADLINE)).domainKeyId).toBe(id);
  expect(domainKeyIdOf((await store.findFleetKey(PRIVATE.name, id))!)).toBe(id);
  expect(foreign).toEqual([
    expect.stringContaining(`kf:fleet-keys:{private} ${id} does not open, or belongs elsewhere`),
  ]);
});

test('a key of another purpose or domain key that is moved into its place is dropped, and so is what is none', async () => {
  const { open, hsm, store, domain, foreign } = newFleet();
  const id = domain.active;
  const planted = [Buffer.from('junk'), Buffer.of()];
  for (const accessKeyId of [`keyfleet-other/${id}`, `keyfleet-private/${'ab'.repeat(16)}`, 'keyfleet-private']) {
    const { token } = await hsm.execute('GenerateCredential', { accessKeyId, principal: 'keyfleet:frontends' });
    planted.push(Buffer.from(token));
  }
  for (const token of planted) {
    await store.dropFleetKey(PRIVATE.name, id);
    await store.insertFleetKey(PRIVATE.name, id, token);
    const { key } = await open().newest(DEADLINE);
    expect((await open().newest(DEADLINE)).key).toEqual(key);
  }
  expect(foreign).toHaveLength(planted.length);
});

test('a key that two members do not open is dropped, and frontends that start have the same again', async () => {
  const { open, store, domain, foreign } = newFleet();
  await store.insertFleetKey(PRIVATE.name, domain.active, forged(PRIVATE.name, domain.active));
  const { key } = await open().newest(DEADLINE);
  expect((await open().newest(DEADLINE)).key).toEqual(key);
  expect(foreign).toHaveLength(1);
});

test('whoever presents something of a key that is none is refused', async () => {
  const { open, store, domain } = newFleet();
  await store.insertFleetKey(PRIVATE.name, domain.active, forged(PRIVATE.name, domain.active));
  expect(await open().find(domain.active, DEADLINE)).toBeUndefined();
});

test('a key is not dropped because a lone member does not open it', async () => {
  const { open, store, hsm, domain, foreign } = newFleet();
  const token = forged(PRIVATE.name, domain.active);
  await store.insertFleetKey(PRIVATE.name, domain.active, token);
  hsm.isAlone = true;
  await expect(open().newest(DEADLINE)).rejects.toThrow('does not open at the only HSM in reach');
  expect(await store.findFleetKey(PRIVATE.name, domain.active)).toEqual(token);
  expect(foreign).toEqual([]);
});

test('a frontend keeps the key that it has, and puts it back in place of what is none', async () => {
  const { open, store, hsm, foreign } = newFleet();
  const keys = open();
  const { domainKeyId, key } = await keys.newest(DEADLINE);
  await store.dropFleetKey(PRIVATE.name, domainKeyId);
  const token = forged(PRIVATE.name, domainKeyId);
  await store.insertFleetKey(PRIVATE.name, domainKeyId, token);
  expect((await keys.newest(DEADLINE)).key).toEqual(key);
  hsm.isAlone = true;
  await expect(keys.putBack()).rejects.toThrow(DamagedRecordError);
  expect(await store.findFleetKey(PRIVATE.name, domainKeyId)).toEqual(token);
  hsm.isAlone = false;
  await keys.putBack();
  expect((await open().newest(DEADLINE)).key).toEqual(key);
  expect(foreign).toHaveLength(1);
});

test('however often the domain rotates, only keys that are accepted are kept', async () => {
  const { open, time, rotate, listed } = newFleet();
  const keys = open();
  for (let day = 0; day < 20; day++) {
    await keys.newest(DEADLINE);
    time.now += 24 * HOUR;
    rotate();
  }
  await keys.newest(DEADLINE);
  await expect.poll(() => listed(PRIVATE.name)).toHaveLength(3);
  rotate({ afterRemoval: true });
  await keys.newest(DEADLINE);
  await expect.poll(() => listed(PRIVATE.name)).toHaveLength(1);
});

test('when operators accept an older store, its keys are used', async () => {
  const { hsm, domain, time } = newFleet();
  const stores = [new MemoryStore(), new MemoryStore()];
  let store = stores[0]!;
  const clock = { now: () => time.now };
  const deps = { hsm, domain, clock, events: { fleetKeyDropped: () => {} } };
  const fleet = new Fleet({ ...deps, store: delegating(() => store) });
  const keys = fleet.keys(PRIVATE);
  const before = await keys.newest(DEADLINE);
  store = stores[1]!;
  const others = await new Fleet({ ...deps, store }).keys(PRIVATE).newest(DEADLINE);
  fleet.forget();
  expect((await keys.newest(DEADLINE)).key.export()).toEqual(others.key.export());
  expect(others.key.export()).not.toEqual(before.key.export());
});

function delegating(
  to: () => MemoryStore,
): Pick<MemoryStore, 'findFleetKey' | 'insertFleetKey' | 'listFleetKeys' | 'dropFleetKey'> {
  return {
    findFleetKey: (name, id) => to().findFleetKey(name, id),
    insertFleetKey: (name, id, token) => to().insertFleetKey(name, id, token),
    listFleetKeys: (name, ids) => to().listFleetKeys(name, ids),
    dropFleetKey: (name, id, token) => to().dropFleetKey(name, id, token),
  };
}

import { FakeDomain } from '@keyfleet/test-support/fakes/fake-domain';
import { DEADLINE, newFleet, PRIVATE } from '@keyfleet/test-support/fleet-keys';
import { expect, test } from 'vitest';

const HOUR = 3_600_000;
const HARMLESS = { name: 'harmless', info: 'harmless', outlivesRemovals: true };

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

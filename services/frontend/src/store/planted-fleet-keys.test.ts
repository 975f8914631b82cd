import { randomBytes } from 'node:crypto';
import { CredentialToken } from '@keyfleet/hsm-worker/boundary/tokens/stored-token';
import { Writer } from '@keyfleet/shared/encoding/bytes';
import { domainKeyIdOf } from '@keyfleet/shared/hsm/exported-key-token';
import { DEADLINE, newFleet, PRIVATE } from '@keyfleet/test-support/fleet-keys';
import { expect, test } from 'vitest';
import { DamagedRecordError } from './store.ts';

/** What anybody makes who knows what everybody may, and which no member opens. */
function forged(name: string, domainKeyId: string): Buffer {
  const owner = { accessKeyId: `keyfleet-${name}/${domainKeyId}`, principal: 'keyfleet:frontends' };
  const writer = new Writer();
  writer.bytes(CredentialToken.encode({ domain: 'test', domainKeyId, ...owner }));
  writer.raw(randomBytes(68));
  return writer.finish();
}

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

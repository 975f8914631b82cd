import { keyStoreStoreContract, newCustomKeyStore } from '@keyfleet/frontend/key-stores/key-store-store.contract';
import { RedisKeyStores } from '@keyfleet/frontend/key-stores/redis-key-stores';
import { DamagedRecordError } from '@keyfleet/frontend/store/store';
import { newKeyId } from '@keyfleet/shared/ids';
import { keyStoresAt } from '@keyfleet/shared/stored/names';
import { useRedis } from '@keyfleet/test-support/redis-fixture';
import { openStore, testMacs } from '@keyfleet/test-support/redis-store';
import { describe, expect, test } from 'vitest';

const redis = useRedis();

let now = 0;
const open = () => {
  const { client, writes, calls } = redis;
  return {
    keys: openStore({ client, writes, clock: { now: Date.now } }),
    keyStores: new RedisKeyStores({
      calls,
      macs: testMacs(),
      monotonicClock: { now: () => now },
    }),
  };
};
const scope = { accountId: '111122223333', region: 'us-east-1' };

describe('custom key stores in Redis', () => {
  keyStoreStoreContract(async () => open());

  test.each([
    ['another state', (text: string) => text.replace('CONNECTED', 'DISCONNECTED')],
    ['another address', (text: string) => text.replace('xks.example', 'evil.example')],
    ['no MAC', (text: string) => text.replace(/,"mac":.*/, '}')],
  ])('a record with %s is not believed', async (_what, damage) => {
    const { keyStores } = open();
    await keyStores.replace(await keyStores.find(scope), [newCustomKeyStore('cks-1')]);
    const [name] = keyStoresAt(scope);
    await redis.client.set(name, damage((await redis.client.get(name))!));
    await expect(keyStores.find(scope)).rejects.toThrow(DamagedRecordError);
    const other = { ...scope, region: 'eu-west-1' };
    await redis.client.copy(name, keyStoresAt(other)[0]);
    await expect(keyStores.find(other)).rejects.toThrow(DamagedRecordError);
  });

  test('a record from before a change is not believed when somebody puts it back', async () => {
    const { keyStores } = open();
    await keyStores.replace(await keyStores.find(scope), [newCustomKeyStore('cks-1')]);
    const [name] = keyStoresAt(scope);
    const old = (await redis.client.get(name))!;
    await keyStores.replace(await keyStores.find(scope), [newCustomKeyStore('cks-1', { state: 'DISCONNECTED' })]);
    expect((await keyStores.find(scope)).stores).toMatchObject([{ state: 'DISCONNECTED' }]);
    await redis.client.set(name, old);
    await expect(keyStores.find(scope)).rejects.toThrow('revision 2 was acknowledged');
  });

  test('the place of a key that was never stored is free again after an hour', async () => {
    const { keyStores } = open();
    await keyStores.replace(await keyStores.find(scope), [newCustomKeyStore('cks-1')]);
    const before = await keyStores.find(scope);
    const claim = () =>
      keyStores.claim(before, { keyId: newKeyId(false), customKeyStoreId: 'cks-1', xksKeyId: 'key-1' });
    expect([await claim(), await claim()]).toEqual([true, false]);
    now += 3_600_001;
    expect([await claim(), await keyStores.remove(before, 'cks-1')]).toEqual([true, false]);
  });
});

import { CancelKeyDeletion, DescribeKey, ScheduleKeyDeletion } from '@keyfleet/shared/api/keys';
import { countDue, failingOnce, storeWith } from '@keyfleet/test-support/fakes/carry-out';
import { accountId, region } from '@keyfleet/test-support/fakes/frontend';
import { beginNamed, carryOut, expectGone, frontend, key, left } from '@keyfleet/test-support/fakes/due-key';
import { beforeEach, describe, expect, test } from 'vitest';
import { ClusterError } from '../cloudhsm/clusters.ts';
import type { KmsKey } from '../keys/kms-key.ts';

const DAY = 86_400_000;

beforeEach(beginNamed);

describe('the deletion of a key in a CloudHSM cluster', () => {
  const cluster = { clusterId: 'cluster-abcdefghijk', trustAnchor: '', token: Buffer.of(1) };
  const store = {
    id: 'cks-1',
    name: 'hsm',
    createdAt: 0,
    state: 'CONNECTED',
    type: 'AWS_CLOUDHSM',
    cluster,
  } as const;
  const storesOf = (state: 'CONNECTED' | 'DISCONNECTED') => ({
    find: () => ({ accountId, region, stores: [{ ...store, state }], version: '1', revision: 1 }),
  });
  const keyStores = storesOf('CONNECTED');
  /** The key's state when its second half was destroyed: `undefined` once the record is gone. */
  let destroyed: (string | undefined)[];
  const clusters = { destroyKey: async () => void destroyed.push(await stored()) };
  const stored = async () => (await frontend.store.findKey(region, key.KeyId))?.state;

  beforeEach(async () => {
    destroyed = [];
    const created = await frontend.store.findKey(region, key.KeyId);
    const { clusterId } = cluster;
    await frontend.store.updateKey({ ...created!, origin: 'AWS_CLOUDHSM', customKeyStoreId: store.id, clusterId });
    await frontend.call(ScheduleKeyDeletion, key);
    frontend.now += 30 * DAY;
  });

  test('destroys the key there a week after the record, and not while it may be cancelled', async () => {
    await carryOut({ keyStores, clusters });
    expect(await frontend.refusal(DescribeKey, key)).toMatch(/^NotFoundException/);
    expect(frontend.serviceEvents).toMatchObject([{ eventName: 'DeleteKey' }]);
    frontend.now += 7 * DAY - 1;
    await carryOut({ keyStores, clusters });
    expect(destroyed).toEqual([]);
    frontend.now += 1;
    await carryOut({ keyStores, clusters });
    await expectGone();
    await carryOut({ keyStores, clusters });
    expect([destroyed, frontend.serviceEvents.length]).toEqual([[undefined], 1]);
  });

  test('waits for that week by both clocks, whenever somebody says that it is due', async () => {
    await carryOut({ keyStores, clusters });
    frontend.now += 6 * DAY;
    const ahead = { now: () => frontend.now + 2 * DAY };
    const planted = { entry: '', region, accountId, keyId: key.KeyId };
    const listDue = async (shard: number) => ({ items: shard === 0 ? [planted] : [] });
    await carryOut({
      keyStores,
      clusters,
      store: storeWith(frontend.store, { listDue, now: async () => ahead.now() }),
    });
    frontend.now += 120_000;
    await carryOut({ keyStores, clusters, clock: ahead, store: storeWith(frontend.store, { listDue }) });
    expect([destroyed, left]).toEqual([[], []]);
  });

  test.each([
    [
      'the record was put back',
      7,
      (before: KmsKey) => ({
        store: storeWith(frontend.store, { findKey: async () => ({ ...before, state: 'Enabled' }) }),
      }),
    ],
    ['the store is disconnected', 7, () => ({ keyStores: storesOf('DISCONNECTED') })],
    ['another week has passed, as it has if somebody kept what says so', 14, () => ({})],
  ])('leaves the key there if %s', async (_what, days, change) => {
    const before = (await frontend.store.findKey(region, key.KeyId))!;
    await carryOut({ keyStores, clusters });
    frontend.now += days * DAY;
    await carryOut({ keyStores, clusters, ...change(before) });
    expect([destroyed, left, await countDue(frontend.store)]).toEqual([[], [], 0]);
    frontend.now += 60_000;
    await carryOut({ keyStores, clusters });
    expect(destroyed).toEqual([]);
  });

  test('is finished by another item if the cluster is away when the week is over', async () => {
    await carryOut({ keyStores, clusters });
    frontend.now += 7 * DAY;
    const error = new ClusterError('cluster-away');
    await carryOut({ keyStores, clusters: { destroyKey: () => Promise.reject(error) } });
    expect(left).toMatchObject([{ error }]);
    frontend.now += 60_000;
    await carryOut({ keyStores, clusters });
    expect(destroyed).toEqual([undefined]);
    await expectGone();
  });

  test('and is cancelled while it is carried out leaves the key there', async () => {
    const hsm = Object.assign(Object.create(frontend.hsm) as typeof frontend.hsm, {
      executeEverywhere: async () => void (await frontend.call(CancelKeyDeletion, key)),
    });
    await carryOut({ keyStores, clusters, hsm });
    frontend.now += 8 * DAY;
    await carryOut({ keyStores, clusters });
    expect([await stored(), destroyed, left]).toEqual(['Disabled', [], []]);
  });

  test('and is cancelled after it was cut off leaves the key there', async () => {
    await carryOut({ keyStores, clusters, store: failingOnce(frontend.store, 'deleteKey', 'before') });
    await frontend.call(CancelKeyDeletion, key);
    frontend.now += 8 * DAY;
    await carryOut({ keyStores, clusters });
    expect([await stored(), destroyed]).toEqual(['Disabled', []]);
  });
});

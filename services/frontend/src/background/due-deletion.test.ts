import { CreateAlias, ListAliases } from '@keyfleet/shared/api/aliases';
import { Decrypt, Encrypt } from '@keyfleet/shared/api/cipher';
import { CancelKeyDeletion, DescribeKey, ListKeys, ScheduleKeyDeletion } from '@keyfleet/shared/api/keys';
import { countDue, failingOnce } from '@keyfleet/test-support/fakes/carry-out';
import { accountId, region } from '@keyfleet/test-support/fakes/frontend';
import { begin, carryOut, createKey, frontend, key, left } from '@keyfleet/test-support/fakes/due-key';
import { beforeEach, describe, expect, test } from 'vitest';
import { ServiceEvents } from '../audit/service-events.ts';
import { noAudit } from '../audit/sink.ts';
import { ClusterError } from '../cloudhsm/clusters.ts';
import type { KmsKey } from '../keys/kms-key.ts';
import { newKey } from '../store/key-store.contract.ts';
import { DamagedRecordError } from '../store/store.ts';

const DAY = 86_400_000;
const events = new ServiceEvents(noAudit, { now: () => frontend.now });

beforeEach(begin);

async function aliasNames(): Promise<unknown[]> {
  const { Aliases = [] } = await frontend.call(ListAliases, {});
  return Aliases.map(({ AliasName }) => AliasName);
}

/** The frontend's, but for some methods. */
function storeWith(methods: Partial<typeof frontend.store>): typeof frontend.store {
  return new Proxy(frontend.store, {
    get(target, name) {
      const value: unknown = Reflect.get(methods, name) ?? Reflect.get(target, name);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

describe('a deletion', () => {
  beforeEach(async () => {
    await frontend.call(CreateAlias, { AliasName: 'alias/doomed', TargetKeyId: key.KeyId });
  });

  async function expectGone(): Promise<void> {
    expect(await frontend.refusal(DescribeKey, key)).toBe(`NotFoundException: Key '${key.Arn}' does not exist`);
    expect((await frontend.call(ListKeys, {})).Keys).toEqual([]);
    expect(await aliasNames()).toEqual([]);
    expect(await countDue(frontend.store)).toBe(0);
  }

  test('of before a restore comes a week after it at the earliest, and may be cancelled until then', async () => {
    await frontend.call(ScheduleKeyDeletion, { ...key, PendingWindowInDays: 7 });
    const [kept, other] = [key, await createKey()];
    await frontend.call(ScheduleKeyDeletion, { KeyId: other.KeyId, PendingWindowInDays: 8 });
    frontend.now += 7.5 * DAY;
    const restoredAt = frontend.now;
    const after = { restoredAt: () => Promise.resolve(restoredAt) };
    await carryOut(after);
    const { KeyMetadata } = await frontend.call(DescribeKey, key);
    expect(KeyMetadata).toMatchObject({ KeyState: 'PendingDeletion', DeletionDate: restoredAt + 7 * DAY });
    await frontend.call(CancelKeyDeletion, kept);
    frontend.now += 7 * DAY - 1;
    await carryOut(after);
    expect((await frontend.call(DescribeKey, other)).KeyMetadata?.KeyState).toBe('PendingDeletion');
    frontend.now += 1;
    await carryOut(after);
    expect(await frontend.refusal(DescribeKey, other)).toMatch(/^NotFoundException/);
    expect((await frontend.call(DescribeKey, kept)).KeyMetadata?.KeyState).toBe('Disabled');
  });

  test('that is scheduled after a restore comes on its date', async () => {
    const restoredAt = frontend.now;
    await frontend.call(ScheduleKeyDeletion, { ...key, PendingWindowInDays: 7 });
    frontend.now += 7 * DAY;
    await carryOut({ restoredAt: () => Promise.resolve(restoredAt) });
    await expectGone();
  });

  test('waits a week, and no longer, where Redis says that it was restored in a time to come', async () => {
    await frontend.call(ScheduleKeyDeletion, { ...key, PendingWindowInDays: 7 });
    frontend.now += 7 * DAY;
    await carryOut({ restoredAt: () => Promise.resolve(Number.MAX_SAFE_INTEGER) });
    const { KeyMetadata } = await frontend.call(DescribeKey, key);
    expect(KeyMetadata).toMatchObject({ DeletionDate: frontend.now + 7 * DAY });
    frontend.now += 7 * DAY;
    await carryOut();
    await expectGone();
  });

  test("destroys the key, its aliases and the workers' opened material on its date, and not before", async () => {
    const { CiphertextBlob } = await frontend.call(Encrypt, { ...key, Plaintext: Buffer.of(1) });
    const { KeyMetadata } = await frontend.call(DescribeKey, key);
    await frontend.call(ScheduleKeyDeletion, { ...key, PendingWindowInDays: 7 });
    frontend.now += 7 * DAY - 1;
    await carryOut();
    expect((await frontend.call(DescribeKey, key)).KeyMetadata?.KeyState).toBe('PendingDeletion');
    frontend.hsm.evicted.length = 0;

    frontend.now += 1;
    await carryOut();
    await expectGone();
    expect(frontend.hsm.evicted).toEqual([KeyMetadata?.CurrentKeyMaterialId]);
    expect(await frontend.refusal(Decrypt, { CiphertextBlob })).toMatch(/^AccessDeniedException/);
    expect(frontend.serviceEvents).toEqual([
      expect.objectContaining({
        eventName: 'DeleteKey',
        eventType: 'AwsServiceEvent',
        eventTime: new Date(frontend.now).toISOString(),
        userIdentity: { accountId, invokedBy: 'AWS Internal' },
        recipientAccountId: accountId,
        resources: [{ accountId, type: 'AWS::KMS::Key', ARN: key.Arn }],
      }),
    ]);
  });

  test.each([
    ['of the frontend', () => ({ clock: { now: () => frontend.now + 31 * DAY } })],
    ['of the store', () => void (frontend.store.clock = { now: () => frontend.now + 31 * DAY })],
  ])('waits for its date while only the clock %s is ahead', async (_whose, ahead) => {
    await frontend.call(ScheduleKeyDeletion, { ...key, PendingWindowInDays: 30 });
    await carryOut(ahead() ?? {});
    expect(left).toEqual([]);
    await frontend.call(CancelKeyDeletion, key);
  });

  test('that was cancelled does not happen, and its entry is removed when its time comes', async () => {
    await frontend.call(ScheduleKeyDeletion, { ...key, PendingWindowInDays: 7 });
    await frontend.call(CancelKeyDeletion, key);
    frontend.now += 8 * DAY;
    await carryOut();
    expect((await frontend.call(DescribeKey, key)).KeyMetadata?.KeyState).toBe('Disabled');
    expect([await countDue(frontend.store), frontend.serviceEvents]).toEqual([0, []]);
  });

  test('that was cancelled and scheduled again waits for the later date', async () => {
    await frontend.call(ScheduleKeyDeletion, { ...key, PendingWindowInDays: 7 });
    await frontend.call(CancelKeyDeletion, key);
    await frontend.call(ScheduleKeyDeletion, { ...key, PendingWindowInDays: 30 });
    frontend.now += 8 * DAY;
    await carryOut();
    expect((await frontend.call(DescribeKey, key)).KeyMetadata?.KeyState).toBe('PendingDeletion');
    frontend.now += 22 * DAY;
    await carryOut();
    await expectGone();
  });

  test('that is cancelled while it is carried out leaves the key', async () => {
    await frontend.call(ScheduleKeyDeletion, { ...key, PendingWindowInDays: 7 });
    frontend.now += 7 * DAY;
    const hsm = Object.assign(Object.create(frontend.hsm) as typeof frontend.hsm, {
      executeEverywhere: async () => void (await frontend.call(CancelKeyDeletion, key)),
    });
    await carryOut({ hsm });
    expect((await frontend.call(DescribeKey, key)).KeyMetadata?.KeyState).toBe('Disabled');
    expect(await aliasNames()).toEqual(['alias/doomed']);
    expect([left, frontend.serviceEvents]).toEqual([[], []]);
  });

  describe('of a key in a CloudHSM cluster', () => {
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
      await carryOut({ keyStores, clusters, store: storeWith({ listDue, now: async () => ahead.now() }) });
      frontend.now += 120_000;
      await carryOut({ keyStores, clusters, clock: ahead, store: storeWith({ listDue }) });
      expect([destroyed, left]).toEqual([[], []]);
    });

    test.each([
      [
        'the record was put back',
        7,
        (before: KmsKey) => ({ store: storeWith({ findKey: async () => ({ ...before, state: 'Enabled' }) }) }),
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

  test.each([
    ['deleteKey', 'before'],
    ['deleteKey', 'after'],
    ['removeDue', 'before'],
    ['removeDue', 'after'],
  ] as const)('that is cut off at %s, %s it was done, is finished by the next item', async (method, when) => {
    await frontend.call(ScheduleKeyDeletion, key);
    frontend.now += 30 * DAY;
    await carryOut({ store: failingOnce(frontend.store, method, when) });
    expect(left).toMatchObject([{ due: { keyId: key.KeyId }, error: { message: 'cut off' } }]);
    await carryOut();
    await expectGone();
    expect(frontend.serviceEvents.map(({ eventName }) => eventName)).toEqual(['DeleteKey']);
  });

  test('that was begun by a frontend which died before it was recorded is recorded by another a minute later', async () => {
    await frontend.call(ScheduleKeyDeletion, key);
    frontend.now += 30 * DAY;
    const date = new Date(frontend.now).toISOString();
    await carryOut({ store: failingOnce(frontend.store, 'claimEvents', 'after') });
    await carryOut();
    expect([await countDue(frontend.store), frontend.serviceEvents]).toEqual([1, []]);
    frontend.now += 60_000;
    await carryOut();
    await expectGone();
    expect(frontend.serviceEvents).toMatchObject([{ eventName: 'DeleteKey', eventTime: date }]);
  });

  test('is recorded whatever else somebody put beside its event, which is said', async () => {
    await frontend.call(ScheduleKeyDeletion, key);
    frontend.now += 30 * DAY;
    const { store } = frontend;
    const damage = new DamagedRecordError('not authentic');
    const claimEvents: typeof store.claimEvents = (of, claim) => {
      claim.onDamaged?.(damage);
      return store.claimEvents(of, claim);
    };
    await carryOut({ store: storeWith({ claimEvents }) });
    expect(left).toMatchObject([{ error: damage }]);
    expect(frontend.serviceEvents.map(({ eventName }) => eventName)).toEqual(['DeleteKey']);
    expect(await countDue(store)).toBe(1);
  });

  test('waits in the list until its record is in the audit log', async () => {
    await frontend.call(ScheduleKeyDeletion, key);
    frontend.now += 30 * DAY;
    await carryOut({}, { write: () => {}, settled: () => Promise.reject(new Error('ENOSPC')) });
    expect(left).toMatchObject([{ error: { message: 'ENOSPC' } }]);
    expect(await countDue(frontend.store)).toBe(1);
    frontend.now += 60_000;
    await carryOut();
    await expectGone();
    expect(frontend.serviceEvents).toHaveLength(1);
  });

  test('that is recorded twice, because its frontend died right afterwards, has the same line twice', async () => {
    await frontend.call(ScheduleKeyDeletion, key);
    frontend.now += 30 * DAY;
    const lines: string[] = [];
    const sink = { write: (line: string) => void lines.push(line), settled: () => Promise.resolve() };
    await carryOut({ store: failingOnce(frontend.store, 'forgetEvents', 'before') }, sink);
    frontend.now += 60_000;
    await carryOut({}, sink);
    await expectGone();
    expect(lines).toHaveLength(2);
    expect(lines[1]).toBe(lines[0]);
    await carryOut({}, sink);
    expect(lines).toHaveLength(2);
  });

  test('is not carried out while it could not be recorded', async () => {
    await frontend.call(ScheduleKeyDeletion, key);
    frontend.now += 30 * DAY;
    await expect(carryOut({}, { isFull: true })).rejects.toThrow('audit records are waiting');
    expect((await frontend.call(DescribeKey, key)).KeyMetadata?.KeyState).toBe('PendingDeletion');
  });

  test('of many keys stops when no more could be recorded, and continues when they can', async () => {
    const due = { state: 'PendingDeletion', deletionDate: frontend.now } as const;
    const doomed = Array.from({ length: 640 }, () => newKey({ ...due, region, accountId }));
    for (const one of doomed) await frontend.store.insertKey(one);
    let written = 0;
    const sink = {
      write: () => void written++,
      settled: () => Promise.resolve(),
      get isFull() {
        return written >= 20;
      },
    };
    const serviceEvents = new ServiceEvents(sink, { now: () => frontend.now });
    await expect(carryOut({ serviceEvents })).rejects.toThrow('audit records are waiting');
    // The page that was begun is done.
    expect(written).toBeLessThan(20 + 16);
    written = -Infinity;
    await carryOut({ serviceEvents });
    expect(await countDue(frontend.store)).toBe(0);
  });

  test('that several frontends carry out at once is recorded once', async () => {
    await frontend.call(ScheduleKeyDeletion, key);
    frontend.now += 30 * DAY;
    await Promise.all(Array.from({ length: 5 }, () => carryOut()));
    await expectGone();
    expect(frontend.serviceEvents.map(({ eventName }) => eventName)).toEqual(['DeleteKey']);
  });

  test('whose event is a forged one of somebody with the record key leaves it unrecorded', async () => {
    await frontend.call(ScheduleKeyDeletion, key);
    frontend.now += 30 * DAY;
    const record = await frontend.store.findKey(region, key.KeyId);
    const event = events.deletionOf(record!);
    await frontend.store.deleteKey(record!, { ...event, text: `${event.text}\n{"eventName":"Decrypt"}` });
    await carryOut();
    expect(left).toMatchObject([{ due: { keyId: key.KeyId }, error: { name: 'DamagedRecordError' } }]);
    expect(frontend.serviceEvents).toEqual([]);
  });

  test('is recorded although the names of the key could not be removed', async () => {
    await frontend.call(ScheduleKeyDeletion, key);
    frontend.now += 30 * DAY;
    await carryOut({ store: failingOnce(frontend.store, 'clearTraces', 'before') });
    expect(left).toHaveLength(1);
    await carryOut();
    await expectGone();
    expect(frontend.serviceEvents.map(({ eventName }) => eventName)).toEqual(['DeleteKey']);
  });

  test('leaves no alias behind when it was interrupted right after the record was gone', async () => {
    await frontend.call(ScheduleKeyDeletion, key);
    const record = await frontend.store.findKey(region, key.KeyId);
    frontend.now += 30 * DAY;
    await frontend.store.deleteKey(record!, events.deletionOf(record!));
    await frontend.store.insertAlias(
      record!,
      { name: 'alias/x', targetKeyId: key.KeyId, createdAt: 1, updatedAt: 1 },
      5,
    );
    await carryOut();
    await expectGone();
  });

  test('of one key is not delayed by another that fails', async () => {
    const keys = [key, ...(await Promise.all(Array.from({ length: 40 }, createKey)))];
    for (const one of keys) await frontend.call(ScheduleKeyDeletion, one);
    frontend.now += 30 * DAY;
    await carryOut({ store: failingOnce(frontend.store, 'deleteKey', 'before') });
    expect(left).toHaveLength(1);
    expect((await frontend.call(ListKeys, {})).Keys).toHaveLength(1);
  });
});

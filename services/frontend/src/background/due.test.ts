import { CreateAlias, ListAliases } from '@keyfleet/shared/api/aliases';
import { Decrypt, Encrypt } from '@keyfleet/shared/api/cipher';
import { CancelKeyDeletion, CreateKey, DescribeKey, ListKeys, ScheduleKeyDeletion } from '@keyfleet/shared/api/keys';
import { EnableKeyRotation, GetKeyRotationStatus, ListKeyRotations } from '@keyfleet/shared/api/rotation';
import { DUE_SHARDS } from '@keyfleet/shared/due-queue';
import type { DueKey } from '@keyfleet/shared/stored/due-entries';
import { accountId, FakeFrontend, region, regions } from '@keyfleet/test-support/fakes/frontend';
import { beforeEach, describe, expect, test } from 'vitest';
import type { AuditSink } from '../audit/sink.ts';
import { type ServiceEvent, ServiceEvents } from '../audit/service-events.ts';
import { newKey } from '../store/store.contract.ts';
import { StoreUnavailableError } from '../store/store.ts';
import { type CarryOutDeps, carryOutDue } from './due.ts';

const DAY = 86_400_000;

let frontend: FakeFrontend;
let key: { KeyId: string; Arn: string };
let left: { due: DueKey; error: unknown }[];
beforeEach(async () => {
  frontend = new FakeFrontend();
  left = [];
  key = await createKey();
});

async function createKey(): Promise<{ KeyId: string; Arn: string }> {
  const { KeyMetadata } = await frontend.call(CreateKey, {});
  return { KeyId: KeyMetadata?.KeyId ?? '', Arn: KeyMetadata?.Arn ?? '' };
}

/** Processes one item for each shard, as the domain-manager publishes them. */
async function carryOut(overrides: Partial<CarryOutDeps> = {}, sink: Partial<AuditSink> = {}): Promise<void> {
  const clock = { now: () => frontend.now };
  const deps: CarryOutDeps = {
    store: frontend.store,
    grants: frontend.grants,
    hsm: frontend.hsm,
    regions,
    keyStores: frontend.keyStores,
    clusters: frontend.clusters,
    clock,
    serviceEvents: new ServiceEvents(
      {
        isFull: false,
        write: (record) => void frontend.serviceEvents.push(JSON.parse(record) as ServiceEvent),
        settled: () => Promise.resolve(),
        ...sink,
      },
      clock,
    ),
    onLeft: (due, error) => left.push({ due, error }),
    ...overrides,
  };
  for (let shard = 0; shard < DUE_SHARDS; shard++) await carryOutDue(shard, deps, () => {});
}

/**
 * The store with one method that fails once, on the first call unless told otherwise, after or before it has done its
 * work.
 */
function failingOnce(
  method: 'deleteKey' | 'claimEvents' | 'forgetEvents' | 'clearTraces' | 'updateKey' | 'removeDue',
  when: 'before' | 'after',
  call = 1,
): CarryOutDeps['store'] {
  let calls = 0;
  return new Proxy(frontend.store, {
    get(store, name) {
      const value: unknown = Reflect.get(store, name);
      if (typeof value !== 'function') return value;
      return async (...args: unknown[]) => {
        if (name === method) calls++;
        const fails = name === method && calls === call;
        const result: unknown = fails && when === 'before' ? undefined : await value.apply(store, args);
        if (fails) throw new StoreUnavailableError('cut off');
        return result;
      };
    },
  });
}

async function entries(): Promise<number> {
  let count = 0;
  for (let shard = 0; shard < DUE_SHARDS; shard++) {
    count += (await frontend.store.listDue(shard, Number.MAX_SAFE_INTEGER / 2, { limit: 1000 })).items.length;
  }
  return count;
}

async function aliasNames(): Promise<unknown[]> {
  const { Aliases = [] } = await frontend.call(ListAliases, {});
  return Aliases.map(({ AliasName }) => AliasName);
}

describe('a deletion', () => {
  beforeEach(async () => {
    await frontend.call(CreateAlias, { AliasName: 'alias/doomed', TargetKeyId: key.KeyId });
  });

  async function expectGone(): Promise<void> {
    expect(await frontend.refusal(DescribeKey, key)).toBe(`NotFoundException: Key '${key.Arn}' does not exist`);
    expect((await frontend.call(ListKeys, {})).Keys).toEqual([]);
    expect(await aliasNames()).toEqual([]);
    expect(await entries()).toBe(0);
  }

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

  test('that was cancelled does not happen, and its entry is removed when its time comes', async () => {
    await frontend.call(ScheduleKeyDeletion, { ...key, PendingWindowInDays: 7 });
    await frontend.call(CancelKeyDeletion, key);
    frontend.now += 8 * DAY;
    await carryOut();
    expect((await frontend.call(DescribeKey, key)).KeyMetadata?.KeyState).toBe('Disabled');
    expect([await entries(), frontend.serviceEvents]).toEqual([0, []]);
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

  test.each([
    ['deleteKey', 'before'],
    ['deleteKey', 'after'],
    ['removeDue', 'before'],
    ['removeDue', 'after'],
  ] as const)('that is cut off at %s, %s it was done, is finished by the next item', async (method, when) => {
    await frontend.call(ScheduleKeyDeletion, key);
    frontend.now += 30 * DAY;
    await carryOut({ store: failingOnce(method, when) });
    expect(left).toMatchObject([{ due: { keyId: key.KeyId }, error: { message: 'cut off' } }]);
    await carryOut();
    await expectGone();
    expect(frontend.serviceEvents.map(({ eventName }) => eventName)).toEqual(['DeleteKey']);
  });

  test('that was begun by a frontend which died before it was recorded is recorded by another a minute later', async () => {
    await frontend.call(ScheduleKeyDeletion, key);
    frontend.now += 30 * DAY;
    const date = new Date(frontend.now).toISOString();
    await carryOut({ store: failingOnce('claimEvents', 'after') });
    await carryOut();
    expect([await entries(), frontend.serviceEvents]).toEqual([1, []]);
    frontend.now += 60_000;
    await carryOut();
    await expectGone();
    expect(frontend.serviceEvents).toMatchObject([{ eventName: 'DeleteKey', eventTime: date }]);
  });

  test('waits in the list until its record is in the audit log', async () => {
    await frontend.call(ScheduleKeyDeletion, key);
    frontend.now += 30 * DAY;
    await carryOut({}, { write: () => {}, settled: () => Promise.reject(new Error('ENOSPC')) });
    expect(left).toMatchObject([{ error: { message: 'ENOSPC' } }]);
    expect(await entries()).toBe(1);
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
    await carryOut({ store: failingOnce('forgetEvents', 'before') }, sink);
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
    expect(await entries()).toBe(0);
  });

  test('that several frontends carry out at once is recorded once', async () => {
    await frontend.call(ScheduleKeyDeletion, key);
    frontend.now += 30 * DAY;
    await Promise.all(Array.from({ length: 5 }, () => carryOut()));
    await expectGone();
    expect(frontend.serviceEvents.map(({ eventName }) => eventName)).toEqual(['DeleteKey']);
  });

  test('is recorded although the names of the key could not be removed', async () => {
    await frontend.call(ScheduleKeyDeletion, key);
    frontend.now += 30 * DAY;
    await carryOut({ store: failingOnce('clearTraces', 'before') });
    expect(left).toHaveLength(1);
    await carryOut();
    await expectGone();
    expect(frontend.serviceEvents.map(({ eventName }) => eventName)).toEqual(['DeleteKey']);
  });

  test('leaves no alias behind when it was interrupted right after the record was gone', async () => {
    await frontend.call(ScheduleKeyDeletion, key);
    const record = await frontend.store.findKey(region, key.KeyId);
    frontend.now += 30 * DAY;
    await frontend.store.deleteKey(record!, { id: 'a', text: '{}' });
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
    await carryOut({ store: failingOnce('deleteKey', 'before') });
    expect(left).toHaveLength(1);
    expect((await frontend.call(ListKeys, {})).Keys).toHaveLength(1);
  });
});

describe('an automatic rotation', () => {
  beforeEach(async () => {
    await frontend.call(EnableKeyRotation, { ...key, RotationPeriodInDays: 90 });
  });

  async function rotations(): Promise<readonly object[]> {
    return (await frontend.call(ListKeyRotations, key)).Rotations ?? [];
  }

  test('happens on its date, again a period later, and every older ciphertext opens', async () => {
    const start = frontend.now;
    const ciphertexts: (Uint8Array | undefined)[] = [];
    for (let period = 0; period < 3; period++) {
      ciphertexts.push((await frontend.call(Encrypt, { ...key, Plaintext: Buffer.of(period) })).CiphertextBlob);
      frontend.now = start + 90 * DAY * (period + 1) - 1;
      await carryOut();
      expect(await rotations()).toHaveLength(period);
      frontend.now += 1;
      await carryOut();
      expect((await rotations()).at(-1)).toMatchObject({
        KeyMaterialState: 'CURRENT',
        RotationType: 'AUTOMATIC',
        RotationDate: frontend.now,
      });
      const status = await frontend.call(GetKeyRotationStatus, key);
      expect(status.NextRotationDate).toBe(start + 90 * DAY * (period + 2));
    }
    for (const [period, CiphertextBlob] of ciphertexts.entries()) {
      const { Plaintext } = await frontend.call(Decrypt, { CiphertextBlob });
      expect(Buffer.from(Plaintext ?? [])).toEqual(Buffer.of(period));
    }
    expect(await entries()).toBe(1);
  });

  test('is recorded as the service’s own, and workers forget the material that is no longer used for new data', async () => {
    const before = (await frontend.call(DescribeKey, key)).KeyMetadata?.CurrentKeyMaterialId;
    frontend.now += 90 * DAY;
    await carryOut();
    const after = (await frontend.call(DescribeKey, key)).KeyMetadata?.CurrentKeyMaterialId;
    expect(frontend.serviceEvents).toMatchObject([
      {
        eventName: 'RotateKey',
        serviceEventDetails: {
          keyId: key.KeyId,
          rotationType: 'AUTOMATIC',
          previousKeyMaterialId: before,
          currentKeyMaterialId: after,
        },
      },
    ]);
    expect(frontend.hsm.evicted).toEqual([before]);
  });

  test('that several frontends carry out at once is done once', async () => {
    frontend.now += 90 * DAY;
    await Promise.all(Array.from({ length: 5 }, () => carryOut()));
    expect(await rotations()).toHaveLength(1);
    expect(frontend.serviceEvents).toHaveLength(1);
  });

  test('that was missed for years is done once, and then a period from now', async () => {
    frontend.now += 1000 * DAY;
    await carryOut();
    await carryOut();
    expect(await rotations()).toHaveLength(1);
    const { NextRotationDate } = await frontend.call(GetKeyRotationStatus, key);
    expect(NextRotationDate).toBe(frontend.now + 90 * DAY);
  });

  test('waits while the key is disabled, and happens as soon as it is enabled', async () => {
    const change = async (state: 'Disabled' | 'Enabled') => {
      const stored = await frontend.store.findKey(region, key.KeyId);
      await frontend.store.updateKey({ ...stored!, state });
    };
    await change('Disabled');
    frontend.now += 100 * DAY;
    await carryOut();
    expect(await rotations()).toEqual([]);
    await change('Enabled');
    await carryOut();
    expect(await rotations()).toHaveLength(1);
  });

  test('does not happen while the key awaits deletion', async () => {
    frontend.now += 80 * DAY;
    await frontend.call(ScheduleKeyDeletion, { ...key, PendingWindowInDays: 30 });
    frontend.now += 20 * DAY;
    await carryOut();
    expect(await rotations()).toEqual([]);
  });

  test.each([
    ['updateKey', 'before'],
    ['updateKey', 'after'],
    ['removeDue', 'before'],
  ] as const)('that is cut off at %s, %s it was done, is done once all the same', async (method, when) => {
    frontend.now += 90 * DAY;
    await carryOut({ store: failingOnce(method, when) });
    expect(left).toHaveLength(1);
    await carryOut();
    frontend.now += 60_000;
    await carryOut();
    expect(await rotations()).toHaveLength(1);
    expect(frontend.serviceEvents).toHaveLength(1);
    expect(await entries()).toBe(1);
  });

  test('whose frontend died before it was recorded is recorded by another a minute later', async () => {
    frontend.now += 90 * DAY;
    const date = new Date(frontend.now).toISOString();
    await carryOut({ store: failingOnce('updateKey', 'after') });
    await carryOut();
    expect([await rotations(), frontend.serviceEvents]).toMatchObject([[{}], []]);
    frontend.now += 60_000;
    await carryOut();
    await carryOut();
    expect(frontend.serviceEvents).toMatchObject([{ eventName: 'RotateKey', eventTime: date }]);
    expect(await entries()).toBe(1);
  });

  test('waits in the list until its record is in the audit log', async () => {
    frontend.now += 90 * DAY;
    await carryOut({}, { write: () => {}, settled: () => Promise.reject(new Error('ENOSPC')) });
    expect(left).toMatchObject([{ error: { message: 'ENOSPC' } }]);
    frontend.now += 60_000;
    await carryOut();
    expect([await rotations(), frontend.serviceEvents]).toMatchObject([[{}], [{ eventName: 'RotateKey' }]]);
    expect(await entries()).toBe(1);
  });

  test('that no HSM can do now is tried again', async () => {
    frontend.now += 90 * DAY;
    frontend.hsm.failure = new Error('no worker');
    await carryOut();
    expect(left.map(({ due }) => due.keyId)).toEqual([key.KeyId]);
    frontend.hsm.failure = undefined;
    await carryOut();
    expect(await rotations()).toHaveLength(1);
  });
});

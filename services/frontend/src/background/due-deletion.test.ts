import { Decrypt, Encrypt } from '@keyfleet/shared/api/cipher';
import { CancelKeyDeletion, DescribeKey, ListKeys, ScheduleKeyDeletion } from '@keyfleet/shared/api/keys';
import { countDue, failingOnce } from '@keyfleet/test-support/fakes/carry-out';
import { accountId, region } from '@keyfleet/test-support/fakes/frontend';
import {
  aliasNames,
  beginNamed,
  carryOut,
  createKey,
  expectGone,
  frontend,
  key,
  left,
} from '@keyfleet/test-support/fakes/due-key';
import { beforeEach, describe, expect, test } from 'vitest';
import { ServiceEvents } from '../audit/service-events.ts';
import { noAudit } from '../audit/sink.ts';

const DAY = 86_400_000;
const events = new ServiceEvents(noAudit, { now: () => frontend.now });

beforeEach(beginNamed);

describe('a deletion', () => {
  test('of before a restore comes a week after it at the earliest, and may be cancelled until then', async () => {
    await frontend.call(ScheduleKeyDeletion, { ...key, PendingWindowInDays: 7 });
    const [kept, other] = [key, await createKey()];
    await frontend.call(ScheduleKeyDeletion, { KeyId: other.KeyId, PendingWindowInDays: 8 });
    frontend.now += 7.5 * DAY;
    const restoredAt = frontend.now;
    const said: unknown[] = [];
    const onPutOff = ({ keyId }: { keyId: string }, date: number): void => void said.push([keyId, date]);
    const after = { restoredAt: () => Promise.resolve(restoredAt), onPutOff };
    await carryOut(after);
    const { KeyMetadata } = await frontend.call(DescribeKey, key);
    expect(KeyMetadata).toMatchObject({ KeyState: 'PendingDeletion', DeletionDate: restoredAt + 7 * DAY });
    await frontend.call(CancelKeyDeletion, kept);
    frontend.now += 7 * DAY - 1;
    await carryOut(after);
    expect(said).toEqual([kept, other].map(({ KeyId }) => [KeyId, restoredAt + 7 * DAY]));
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

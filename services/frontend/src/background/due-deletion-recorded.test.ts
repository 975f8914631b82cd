import { DescribeKey, ScheduleKeyDeletion } from '@keyfleet/shared/api/keys';
import { countDue, failingOnce, storeWith } from '@keyfleet/test-support/fakes/carry-out';
import { accountId, region } from '@keyfleet/test-support/fakes/frontend';
import { beginNamed, carryOut, expectGone, frontend, key, left } from '@keyfleet/test-support/fakes/due-key';
import { beforeEach, describe, expect, test } from 'vitest';
import { ServiceEvents } from '../audit/service-events.ts';
import { noAudit } from '../audit/sink.ts';
import { newKey } from '../store/key-store.contract.ts';
import { DamagedRecordError } from '../store/store.ts';

const DAY = 86_400_000;
const events = new ServiceEvents(noAudit, { now: () => frontend.now });

beforeEach(beginNamed);

describe('a deletion', () => {
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
    await carryOut({ store: storeWith(frontend.store, { claimEvents }) });
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
});

import { Decrypt, Encrypt } from '@keyfleet/shared/api/cipher';
import { DescribeKey, ScheduleKeyDeletion } from '@keyfleet/shared/api/keys';
import { EnableKeyRotation, GetKeyRotationStatus, ListKeyRotations } from '@keyfleet/shared/api/rotation';
import { countDue, failingOnce } from '@keyfleet/test-support/fakes/carry-out';
import { region } from '@keyfleet/test-support/fakes/frontend';
import { begin, carryOut, frontend, key, left } from '@keyfleet/test-support/fakes/due-key';
import { beforeEach, describe, expect, test } from 'vitest';

const DAY = 86_400_000;

beforeEach(begin);

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
    expect(await countDue(frontend.store)).toBe(1);
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
    await carryOut({ store: failingOnce(frontend.store, method, when) });
    expect(left).toHaveLength(1);
    await carryOut();
    frontend.now += 60_000;
    await carryOut();
    expect(await rotations()).toHaveLength(1);
    expect(frontend.serviceEvents).toHaveLength(1);
    expect(await countDue(frontend.store)).toBe(1);
  });

  test('whose frontend died before it was recorded is recorded by another a minute later', async () => {
    frontend.now += 90 * DAY;
    const date = new Date(frontend.now).toISOString();
    await carryOut({ store: failingOnce(frontend.store, 'updateKey', 'after') });
    await carryOut();
    expect([await rotations(), frontend.serviceEvents]).toMatchObject([[{}], []]);
    frontend.now += 60_000;
    await carryOut();
    await carryOut();
    expect(frontend.serviceEvents).toMatchObject([{ eventName: 'RotateKey', eventTime: date }]);
    expect(await countDue(frontend.store)).toBe(1);
  });

  test('waits in the list until its record is in the audit log', async () => {
    frontend.now += 90 * DAY;
    await carryOut({}, { write: () => {}, settled: () => Promise.reject(new Error('ENOSPC')) });
    expect(left).toMatchObject([{ error: { message: 'ENOSPC' } }]);
    frontend.now += 60_000;
    await carryOut();
    expect([await rotations(), frontend.serviceEvents]).toMatchObject([[{}], [{ eventName: 'RotateKey' }]]);
    expect(await countDue(frontend.store)).toBe(1);
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

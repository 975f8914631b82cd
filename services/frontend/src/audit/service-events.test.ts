import { describe, expect, test } from 'vitest';
import type { BackingKey } from '../keys/kms-key.ts';
import { newKey } from '../store/key-store.contract.ts';
import { DamagedRecordError, type StoredEvent } from '../store/store.ts';
import { ServiceEvents } from './service-events.ts';

const [first, second] = ['a', 'b'].map((digit): BackingKey => ({
  token: Buffer.of(1),
  materialId: digit.repeat(64),
  createdAt: 1,
  rotation: 'ON_DEMAND',
}));
const key = newKey({ backingKeys: [first!, second!] });

const lines: string[] = [];
const sink = { isFull: false, write: (line: string) => void lines.push(line), settled: () => Promise.resolve() };
const events = new ServiceEvents(sink, { now: () => 1_700_000_000_123 });

/** What stands in the log after another process left `stored`. */
async function recorded(stored: readonly StoredEvent[]): Promise<string[]> {
  lines.length = 0;
  await events.recordFound(key, stored);
  return [...lines];
}

const left = {
  rotation: events.rotationOf(key),
  'first material': events.rotationOf({ ...key, backingKeys: [first!] }),
  expiry: events.expiryOf(key, first!.materialId),
  synchronization: events.synchronizationOf(key),
  deletion: events.deletionOf(key),
};

test.each(Object.entries(left))(
  'another frontend records a %s in the very bytes of the one that made it',
  async (_, event) => {
    expect(await recorded([event])).toEqual([event.text]);
  },
);

describe('of what whoever has the record key left for a key', () => {
  const { rotation } = left;
  const made = JSON.parse(rotation.text) as Record<string, unknown> & { serviceEventDetails: object };
  const altered = (change: object) => ({ id: rotation.id, text: JSON.stringify({ ...made, ...change }) });
  const details = (change: object) => altered({ serviceEventDetails: { ...made.serviceEventDetails, ...change } });
  const otherArn = (from: string, to: string) =>
    altered({ resources: [{ accountId: key.accountId, type: 'AWS::KMS::Key', ARN: key.arn.replace(from, to) }] });

  test.each([
    ['a call', altered({ eventName: 'Decrypt' })],
    ['two lines', { ...rotation, text: `${rotation.text}\n${rotation.text}` }],
    ['no object', { ...rotation, text: 'null' }],
    ['a time that is text', altered({ eventTime: 'yesterday' })],
    ['a detail of no service event', details({ note: 'x' })],
    ['material that is text', details({ currentKeyMaterialId: 'x\n{}' })],
    ['details of another key', details({ keyId: newKey().keyId })],
    ['an event of another key', otherArn(key.keyId, newKey().keyId)],
    ['an event of another account', otherArn(key.accountId, '999999999999')],
    ['an event of another Region', otherArn(key.region, 'eu-west-9')],
    ['an event of no key', altered({ resources: [] })],
    ['an event under another id', { ...rotation, id: left.deletion.id }],
  ])('%s is not recorded, nor what is with it', async (_, forged) => {
    await expect(recorded([left.deletion, forged])).rejects.toThrow(DamagedRecordError);
    expect(lines).toEqual([]);
  });

  test('a caller, an address and more members are not recorded', async () => {
    const forged = altered({
      userIdentity: { type: 'IAMUser', userName: 'anna' },
      sourceIPAddress: '192.0.2.1',
      eventType: 'AwsApiCall',
      errorCode: 'x',
    });
    expect(await recorded([forged])).toEqual([rotation.text]);
  });
});

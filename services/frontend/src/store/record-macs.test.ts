import { createSecretKey } from 'node:crypto';
import { expect, test } from 'vitest';
import { recordMac } from './record-mac.ts';
import { RecordMacs } from './record-macs.ts';
import { DamagedRecordError } from './store.ts';

const keys = [1, 2].map((number) => ({ number, key: createSecretKey(Buffer.alloc(32, number)) }));
const macs = new RecordMacs({ newest: () => keys[0]!, find: (number) => keys[number - 1]?.key });
const place = { name: 'kf:key:{us-east-1/x}', field: 'record' };
const record = '{"schemaVersion":1,"policy":",\\"mac\\":\\"1.x\\"}"}';

test('a record is the one that was written there, and still a JSON object with all that it had', async () => {
  const { text: stored } = await macs.withMac(place, record);
  expect(await macs.verified(place, stored)).toBe(record);
  expect(JSON.parse(stored)).toMatchObject(JSON.parse(record) as object);
});

test.each([
  ['another text', place, (stored: string) => stored.replace('"schemaVersion":1', '"schemaVersion":2')],
  [
    'another spelling of the same',
    place,
    (stored: string) => stored.replace('"schemaVersion":1', '"schemaVersion": 1'),
  ],
  ['another field', { ...place, field: 'lastUsage' }, (stored: string) => stored],
  ['no field', { name: place.name }, (stored: string) => stored],
  ['another name', { ...place, name: 'kf:key:{us-east-1/y}' }, (stored: string) => stored],
  ['another key', place, (stored: string) => stored.replace('"mac":"1.', '"mac":"2.')],
  ['a key that is not there', place, (stored: string) => stored.replace('"mac":"1.', '"mac":"3.')],
  ['a MAC that is cut', place, (stored: string) => stored.replace(/.."\}$/, '"}')],
  ['no MAC', place, () => record],
  ['nothing', place, () => ''],
  ['something after it', place, (stored: string) => `${stored} `],
])('%s is refused, and the record named', async (_, at, change) => {
  const reading = macs.verified(at, change((await macs.withMac(place, record)).text));
  await expect(reading).rejects.toThrow(DamagedRecordError);
  await expect(reading).rejects.toThrow(at.name);
});

test('no bit of a record or its MAC can be changed', async () => {
  const stored = Buffer.from((await macs.withMac(place, record)).text);
  for (let at = 0; at < stored.length; at++) {
    const changed = Buffer.from(stored);
    changed[at]! ^= 1;
    await expect(macs.verified(place, changed.toString('latin1')), String(at)).rejects.toThrow(DamagedRecordError);
  }
});

test('fields and names are distinguished: no two places share a MAC', () => {
  const { key } = keys[0]!;
  const of = (name: string, field?: string) =>
    recordMac(key, { name, ...(field !== undefined && { field }) }, '{"a":1}');
  const all = [of('ab'), of('a', 'b'), of('', 'ab'), of('ab', ''), of('abb'), of('a', 'bb')];
  expect(new Set(all).size).toBe(all.length);
});

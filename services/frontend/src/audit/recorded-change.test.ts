import { unhandledRejections } from '@keyfleet/test-support/unhandled-rejections';
import { expect, test } from 'vitest';
import { newKey } from '../store/key-store.contract.ts';
import { changeAndRecord, type RecordedChangeDeps } from './recorded-change.ts';

const key = newKey();
const event = { id: 'e', text: '{}' };
const fail = (why: string) => () => Promise.reject(new Error(why));
const works: RecordedChangeDeps = {
  keys: { updateKey: (changed) => Promise.resolve(changed), forgetEvents: () => Promise.resolve() },
  clock: { now: () => 0 },
  serviceEvents: { record: () => Promise.resolve() },
};

test.each<[what: string, deps: RecordedChangeDeps]>([
  ['the disk is full', { ...works, serviceEvents: { record: fail('ENOSPC') } }],
  ['Redis fails', { ...works, keys: { ...works.keys, forgetEvents: fail('Redis is away') } }],
])('a change that cannot be recorded as %s ends no process, and whoever asks later hears of it', async (_, deps) => {
  let recorded: Promise<void> | undefined;
  const unheard = await unhandledRejections(async () => {
    ({ recorded } = await changeAndRecord(key, event, deps));
  });
  expect(unheard).toEqual([]);
  await expect(recorded).rejects.toThrow(/ENOSPC|away/);
});

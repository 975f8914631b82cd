import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { newDisk, startWith, twoFrontends, withRubbish } from '@keyfleet/test-support/record-key-fleet';
import { expect, test } from 'vitest';
import { MemoryStore } from './memory-store.ts';
import { LOOK_AGAIN_MS } from './record-keys.ts';
import { DamagedRecordError } from './store.ts';

test('a frontend that starts with its disk makes no record key in the place of one that is lost', async () => {
  await using disk = await newDisk();
  const fleet = await twoFrontends();
  await fleet.rotating.makeNext();
  await (await startWith(fleet, disk.path)).look();
  const lossy = { ...fleet, secrets: new MemoryStore() };
  await expect((await startWith(lossy, disk.path)).newest()).rejects.toThrow('record key 2 is missing');

  // An operator's word for another store, from earlier, lies in Redis for whoever writes there.
  const misled = await startWith(lossy, disk.path);
  misled.forget(['store-0']);
  await expect(misled.newest()).rejects.toThrow('record key 2 is missing');

  const accepting = await startWith(lossy, disk.path);
  accepting.forget(['store-a']);
  expect((await accepting.newest()).number).toBe(1);
  expect((await (await startWith(lossy, disk.path)).newest()).number).toBe(1);
});

test.each([
  ['at work', 'before a removal'],
  ['at work', 'after one'],
  ['that starts', 'before a removal'],
  ['that starts', 'after one'],
])('a frontend %s follows no record key that nobody made, %s, and writes none down', async (which, when) => {
  await using disk = await newDisk();
  const fleet = await twoFrontends();
  const { secrets, domain, time } = fleet;
  const atWork = await startWith(fleet, disk.path);
  await atWork.newest();
  const written = async () => readFile(join(disk.path, 'record-key-floor.json'), 'utf8');
  const before = await written();
  const planted = await withRubbish(2, (await secrets.findSecret('record-key-1'))!);
  if (when === 'after one') domain.rotate(0, { afterRemoval: true });
  const find = secrets.findSecret.bind(secrets);
  secrets.findSecret = async (name) => (name === 'record-key-2' ? planted : find(name));
  time.ms += LOOK_AGAIN_MS;
  const frontend = which === 'at work' ? atWork : await startWith(fleet, disk.path);
  const refused = 'record key 2 does not open. If nobody replaced the record key, remove kf:secret:{record-key-2}';
  await expect((async () => frontend.newest())()).rejects.toThrow(refused);
  await expect(frontend.find(2)).rejects.toThrow(DamagedRecordError);
  expect(await written()).toBe(before);

  secrets.findSecret = find;
  for (const one of [frontend, await startWith(fleet, disk.path)]) expect((await one.newest()).number).toBe(1);
  expect(await secrets.findSecret('record-key-2')).toBeUndefined();
});

test('the first record key is written down only if it opens', async () => {
  await using disk = await newDisk();
  const fleet = await twoFrontends();
  const secrets = new MemoryStore();
  await secrets.insertSecret('record-key-1', await withRubbish(1, (await fleet.secrets.findSecret('record-key-1'))!));
  await expect((await startWith({ ...fleet, secrets }, disk.path)).look()).rejects.toThrow(
    'record key 1 does not open',
  );
  expect((await (await startWith({ ...fleet, secrets: new MemoryStore() }, disk.path)).newest()).number).toBe(1);
});

test('a first record key that is put there between two looks is written down only if it opens', async () => {
  await using disk = await newDisk();
  const fleet = await twoFrontends();
  const secrets = new MemoryStore();
  const looking = await startWith({ ...fleet, secrets }, disk.path);
  await looking.look();
  await secrets.insertSecret('record-key-1', await withRubbish(1, (await fleet.secrets.findSecret('record-key-1'))!));
  await expect(looking.look()).rejects.toThrow('record key 1 does not open');
  expect((await (await startWith({ ...fleet, secrets: new MemoryStore() }, disk.path)).newest()).number).toBe(1);
});

import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { newDisk, startWith, twoFrontends, withRubbish } from '@keyfleet/test-support/record-key-fleet';
import { expect, test } from 'vitest';
import { MemoryFleetSecrets } from './memory-fleet-secrets.ts';
import type { FollowedKeys } from './record-key-floor.ts';
import { LOOK_AGAIN_MS } from './record-keys.ts';
import { DamagedRecordError } from './store.ts';

test('a frontend that starts with its disk makes no record key in the place of one that is lost', async () => {
  await using disk = await newDisk();
  const fleet = await twoFrontends();
  await fleet.rotating.makeNext();
  await (await startWith(fleet, disk.path)).look();
  const lossy = { ...fleet, secrets: new MemoryFleetSecrets() };
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
  const secrets = new MemoryFleetSecrets();
  await secrets.insertSecret('record-key-1', await withRubbish(1, (await fleet.secrets.findSecret('record-key-1'))!));
  await expect((await startWith({ ...fleet, secrets }, disk.path)).look()).rejects.toThrow(
    'record key 1 does not open',
  );
  expect((await (await startWith({ ...fleet, secrets: new MemoryFleetSecrets() }, disk.path)).newest()).number).toBe(1);
});

test('a first record key that is put there between two looks is written down only if it opens', async () => {
  await using disk = await newDisk();
  const fleet = await twoFrontends();
  const secrets = new MemoryFleetSecrets();
  const looking = await startWith({ ...fleet, secrets }, disk.path);
  await looking.look();
  await secrets.insertSecret('record-key-1', await withRubbish(1, (await fleet.secrets.findSecret('record-key-1'))!));
  await expect(looking.look()).rejects.toThrow('record key 1 does not open');
  expect((await (await startWith({ ...fleet, secrets: new MemoryFleetSecrets() }, disk.path)).newest()).number).toBe(1);
});

const floorIn = ({ path }: { path: string }) => join(path, 'record-key-floor.json');
const written = async (disk: { path: string }) => JSON.parse(await readFile(floorIn(disk), 'utf8')) as FollowedKeys;
const numbersIn = async (disk: { path: string }) => Object.keys((await written(disk)).fingerprints).map(Number);

/** A frontend has followed record keys 2 and 3, both from after a removal, while the second one is replaced. */
async function whileReplaced(disk: { path: string }) {
  const fleet = await twoFrontends();
  const { hsm, domain, rotating, secrets, time } = fleet;
  const before = domain.active;
  hsm.sealsUnder = domain.rotate(0, { afterRemoval: true });
  await rotating.makeNext();
  secrets.oldestRecordKey = 2;
  const frontend = await startWith(fleet, disk.path);
  await frontend.look();
  await rotating.makeNext();
  time.ms += LOOK_AGAIN_MS;
  await frontend.look();
  return { ...fleet, before };
}

test.each([
  ['before the removal', 2],
  ['since', 2],
  ['in the first releases', 2],
  ['since', 3],
])(
  'a frontend that restarts while the record key is replaced takes no other, made %s, for record key %i',
  async (when, number) => {
    await using disk = await newDisk();
    const fleet = await whileReplaced(disk);
    const { hsm, domain, secrets } = fleet;
    hsm.sealsUnder = when === 'since' ? domain.active : fleet.before;
    const named = when === 'in the first releases' ? '' : `/${hsm.sealsUnder}`;
    const sealedFor = { accessKeyId: `keyfleet-record-key-${number}${named}`, principal: 'keyfleet:frontends' };
    const { token } = await hsm.execute('GenerateCredential', sealedFor);
    const find = secrets.findSecret.bind(secrets);
    secrets.findSecret = async (name) => (name === `record-key-${number}` ? token : find(name));
    const refused = `record key ${number} is another than this frontend used before`;
    await expect((await startWith(fleet, disk.path)).find(number)).rejects.toThrow(refused);

    // Nobody knows any more when either was made.
    for (let rotations = 0; rotations < 2; rotations++) domain.rotate(0);
    domain.keepNewest(1);
    await expect((await startWith(fleet, disk.path)).find(number)).rejects.toThrow(refused);
    secrets.findSecret = find;
    const restarted = await startWith(fleet, disk.path);
    expect(await Promise.all([2, 3].map((own) => restarted.find(own)))).not.toContain(undefined);
  },
);

test('a frontend writes down a fingerprint of each record key that nobody who left can have, while it is used', async () => {
  await using disk = await newDisk();
  const fleet = await twoFrontends();
  const { hsm, domain, rotating, secrets } = fleet;
  const look = async () => (await startWith(fleet, disk.path)).look();
  await look();
  expect(await numbersIn(disk)).toEqual([1]);
  hsm.sealsUnder = domain.rotate(0, { afterRemoval: true });
  await rotating.makeNext();
  await look();
  expect(await numbersIn(disk)).toEqual([1, 2]);
  await using late = await newDisk();
  await (await startWith(fleet, late.path)).look();
  expect(await numbersIn(late)).toEqual([2]);
  secrets.oldestRecordKey = 2;
  await look();
  expect(await numbersIn(disk)).toEqual([2]);
});

test('a file of an earlier release, without fingerprints, is read, and has them from then on', async () => {
  await using disk = await newDisk();
  const fleet = await whileReplaced(disk);
  const { fingerprints, ...earlier } = await written(disk);
  await writeFile(floorIn(disk), JSON.stringify({ ...earlier, newest: 2 }));
  expect((await (await startWith(fleet, disk.path)).look()).newest).toBe(3);
  expect((await written(disk)).fingerprints).toEqual(fingerprints);
});

test.each([
  ['a fingerprint that is too short', { fingerprints: { 1: 'ab' } }],
  ['one of no number', { fingerprints: { '01': 'a'.repeat(64) } }],
  ['something unknown', { fingerprints: {}, keys: [] }],
])('a file with %s is damaged', async (_, what) => {
  await using disk = await newDisk();
  const fleet = await twoFrontends();
  await writeFile(floorIn(disk), JSON.stringify({ domain: 'test', oldest: 1, newest: 1, madeIn: 1, ...what }));
  await expect(startWith(fleet, disk.path)).rejects.toThrow(
    "record-key-floor.json is damaged. If 'keyfleet doctor' finds the record key well, remove the file.",
  );
});

import { createSecretKey } from 'node:crypto';
import { expect, test } from 'vitest';
import { Announcements } from './announcements.ts';
import { RecordMacs } from './record-macs.ts';

function frontendWith(recordKey: string) {
  const key = { number: 1, key: createSecretKey(Buffer.alloc(32, recordKey)) };
  const heard: [string, number, number][] = [];
  const published: string[] = [];
  const announcements = new Announcements({
    macs: new RecordMacs({ newest: () => key, find: (number) => (number === 1 ? key.key : undefined) }),
    publish: async (change) => published.push(change),
    heard: (...announced) => heard.push(announced),
  });
  const announce = async (id: string, revision: number): Promise<string> => {
    announcements.send(id, revision);
    await expect.poll(() => published).not.toEqual([]);
    return published.shift()!;
  };
  return { announcements, heard, announce };
}

test('a write that one frontend acknowledged is heard of by another, and so is a removal', async () => {
  const [one, two] = [frontendWith('a'), frontendWith('a')];
  two.announcements.changed(await one.announce('key us-east-1/a b', 3));
  two.announcements.changed(await one.announce('grant "1"', Number.MAX_SAFE_INTEGER));
  await expect.poll(() => two.heard).toHaveLength(2);
  expect(two.heard).toEqual([
    ['key us-east-1/a b', 3, 1],
    ['grant "1"', Number.MAX_SAFE_INTEGER, 1],
  ]);
});

test('an announcement without the MAC of a frontend is not believed, nor is any other change', async () => {
  const [one, former, two] = [frontendWith('a'), frontendWith('b'), frontendWith('a')];
  const genuine = await one.announce('key', 2);
  const forged = [await former.announce('key', 9), genuine.replace('"revision":2', '"revision":9')];
  for (const change of [...forged, 'acknowledged 9 key', 'acknowledged {"id":"key","revision":9}', 'key', '', genuine])
    two.announcements.changed(change);
  await expect.poll(() => two.heard).not.toEqual([]);
  expect(two.heard).toEqual([['key', 2, 1]]);
});

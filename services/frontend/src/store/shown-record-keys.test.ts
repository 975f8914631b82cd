import { newDisk, startWith, twoFrontends, withRubbish } from '@keyfleet/test-support/record-key-fleet';
import { describe, expect, test } from 'vitest';
import { LOOK_AGAIN_MS } from './record-keys.ts';

describe('a record key that a former frontend had made in advance, and shows for three seconds', () => {
  async function shown(which: 'while it is a frontend' | 'after its removal', disk: string) {
    const fleet = await twoFrontends();
    const { secrets, hsm, domain, rotating, time } = fleet;
    const frontend = await startWith(fleet, disk);
    const before = domain.active;
    const sealedFor = { accessKeyId: `keyfleet-record-key-2/${before}`, principal: 'keyfleet:frontends' };
    const { token } = await hsm.execute('GenerateCredential', sealedFor);
    const show = async () => {
      const find = secrets.findSecret.bind(secrets);
      secrets.findSecret = async (name) => (name === 'record-key-2' ? token : find(name));
      time.ms += LOOK_AGAIN_MS;
      const newest = await frontend.look().then(
        (seen) => seen.newest,
        (error: Error) => error.message,
      );
      secrets.findSecret = find;
      time.ms += LOOK_AGAIN_MS;
      return newest;
    };
    let newest = which === 'while it is a frontend' ? await show() : undefined;
    hsm.sealsUnder = domain.rotate(0, { afterRemoval: true });
    newest ??= await show();
    return { ...fleet, frontend, newest, rotating };
  }

  test('after its removal is not followed: what frontends write meanwhile is under a key that is in Redis', async () => {
    await using disk = await newDisk();
    const { frontend, newest, rotating, time } = await shown('after its removal', disk.path);
    expect(newest).toContain('remove kf:secret:{record-key-2}');
    expect((await frontend.newest()).number).toBe(1);
    const { number } = await rotating.makeNext();
    time.ms += LOOK_AGAIN_MS;
    expect((await frontend.newest()).key.equals((await rotating.find(number))!)).toBe(true);
  });

  test('while it is a frontend is used for no more writes, and gives way to the one that operators make after its removal', async () => {
    await using disk = await newDisk();
    const fleet = await shown('while it is a frontend', disk.path);
    const { secrets, frontend, newest, rotating, time } = fleet;
    expect(newest).toBe(2);
    await expect((async () => frontend.newest())()).rejects.toThrow('record key 2 is missing');
    const { number } = await rotating.makeNext();
    expect(number).toBe(2);
    time.ms += LOOK_AGAIN_MS;
    const genuine = (await rotating.find(2))!;
    for (const one of [frontend, await startWith(fleet, disk.path), await startWith(fleet, disk.path)])
      expect((await one.newest()).key.equals(genuine)).toBe(true);

    // What has only the header of such a one does not.
    const rubbish = await withRubbish(2, (await secrets.findSecret('record-key-2'))!);
    await using other = await newDisk();
    const misled = await shown('while it is a frontend', other.path);
    Object.assign(misled.secrets, {
      findSecret: async (name: string) => (name === 'record-key-2' ? rubbish : undefined),
    });
    for (let looks = 0; looks < 2; looks++)
      await expect(misled.frontend.look()).rejects.toThrow('record key 2 does not open');
    expect(await misled.frontend.find(2)).toBeDefined();
  });
});

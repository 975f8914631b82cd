import { memberOf, TestDomain } from '@keyfleet/test-support/domain';
import { memberFingerprint } from '@keyfleet/shared/domain/fingerprint';
import { writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { formatMember, loadNewMember } from './public-files.ts';

test('the public part of an offline member says that it is one, and people compare that too', async () => {
  await using folder = await mkdtempDisposable(join(tmpdir(), 'keyfleet-'));
  const path = join(folder.path, 'member.pub.json');
  const load = (text: string) => {
    writeFileSync(path, text);
    return loadNewMember(path);
  };
  const member = memberOf(new TestDomain().hsms[0]!);
  const offline = load(formatMember({ ...member, offline: true }));
  expect(offline.offline).toBe(true);
  const online = load(formatMember(member));
  expect(online).not.toHaveProperty('offline');
  expect(memberFingerprint(online)).not.toBe(memberFingerprint(offline));
  expect(() => load(formatMember(member).replace('{', '{ "offline": false,'))).toThrow('is not the public identity');
});

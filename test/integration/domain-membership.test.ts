import { DomainMembership } from '@keyfleet/hsm-worker/membership';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { TestDomain } from '../support/domain.ts';

test('a member says that it has a token only once a crash cannot take it back', async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'keyfleet-'));
  const domain = new TestDomain();
  const hsm = domain.newHsm('hsm-1', domain.hsms[0]!.sealedIdentity());
  const identityFile = join(directory.path, 'identity');
  const events = { tokenInstalled: () => {} };
  const membership = new DomainMembership({ hsm, identityFile, publishIdentity: async () => {}, events });
  await membership.install(domain.tokens);
  domain.rotate();

  const installing = membership.install(domain.tokens);
  while (hsm.describe().generation < 2) await setImmediate();
  expect(membership.describe().generation).toBe(1);
  expect((await installing).generation).toBe(2);
  expect(membership.describe().generation).toBe(2);
});

import { DurableHsm } from '@keyfleet/hsm-worker/durable-hsm';
import { TestDomain } from '@keyfleet/test-support/domain';
import { mkdir, mkdtempDisposable, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';

async function newMembership(directory: string) {
  const domain = new TestDomain();
  const hsm = domain.newHsm('hsm-1', domain.hsms[0]!.sealedIdentity());
  const identityFile = join(directory, 'identity');
  const events = { tokenInstalled: () => {} };
  const membership = new DurableHsm({ hsm, identityFile, publishIdentity: async () => {}, events });
  await membership.install(domain.tokens);
  return { domain, hsm, identityFile, membership };
}

test('a member says that it has a token only once a crash cannot take it back', async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'keyfleet-'));
  const { domain, hsm, membership } = await newMembership(directory.path);
  domain.rotate();

  const installing = membership.install(domain.tokens);
  while (hsm.describe().generation < 2) await setImmediate();
  expect(membership.describe().generation).toBe(1);
  expect((await installing).generation).toBe(2);
  expect(membership.describe().generation).toBe(2);
});

test('a token that is installed already is not written again, unless the last write failed', async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'keyfleet-'));
  const { domain, identityFile, membership } = await newMembership(directory.path);
  const written = await readFile(identityFile);
  await membership.install(domain.tokens);
  expect(await readFile(identityFile)).toEqual(written);

  await rm(directory.path, { recursive: true });
  await writeFile(directory.path, 'no directory');
  domain.rotate();
  await expect(membership.install(domain.tokens)).rejects.toThrow(directory.path);
  await rm(directory.path);
  await mkdir(directory.path);
  expect((await membership.install(domain.tokens)).generation).toBe(2);
  expect(await readFile(identityFile)).not.toEqual(written);
});

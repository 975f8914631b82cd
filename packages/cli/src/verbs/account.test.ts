import { CredentialsFile } from '@keyfleet/frontend/background/credentials-file';
import { MemoryStore } from '@keyfleet/frontend/store/memory-store';
import type { AccessKeyRecord } from '@keyfleet/frontend/store/store';
import { mkdtempDisposableSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createAdministrator } from './account.ts';

const administrator = { accountId: '222222222222', userName: 'admin', partition: 'aws' };

function fixture() {
  const folder = mkdtempDisposableSync(join(tmpdir(), 'keyfleet-account-'));
  const store = new MemoryStore();
  const deps = {
    identities: {
      findFirstAccessKey: (accountId: string) => store.findFirstAccessKey(accountId),
      hasAccount: (accountId: string) => store.hasAccount(accountId),
      insertFirstAccessKey: (record: AccessKeyRecord) => store.insertFirstAccessKey(record),
    },
    generateCredential: async () => ({
      secretAccessKey: Buffer.from('made-by-the-hsm'),
      token: new Uint8Array([1]),
    }),
    file: new CredentialsFile(join(folder.path, 'credentials')),
  };
  return { deps, files: () => readdirSync(folder.path), [Symbol.dispose]: () => folder.remove() };
}

test('an account begins once, with its credentials in the file', async () => {
  using given = fixture();
  const { accessKeyId } = await createAdministrator(administrator, given.deps);
  expect(given.deps.file.holds(accessKeyId)).toBe(true);
  expect(given.files()).toEqual(['credentials']);
  const again = createAdministrator(administrator, given.deps);
  await expect(again).rejects.toThrow('account 222222222222 already exists');
});

test('what was interrupted once the store had the access key goes on, with its secret', async () => {
  using given = fixture();
  let first = '';
  const insertFirstAccessKey = async (record: AccessKeyRecord) => {
    first = record.accessKeyId;
    await given.deps.identities.insertFirstAccessKey(record);
    throw new Error('killed');
  };
  const dying = { ...given.deps, identities: { ...given.deps.identities, insertFirstAccessKey } };
  await expect(createAdministrator(administrator, dying)).rejects.toThrow('killed');
  expect(given.deps.file.exists).toBe(false);
  const { accessKeyId } = await createAdministrator(administrator, given.deps);
  expect(accessKeyId).toBe(first);
  expect(given.deps.file.holds(first)).toBe(true);
  expect(given.files()).toEqual(['credentials']);
});

test('what was interrupted with another file does not write this one', async () => {
  using given = fixture();
  using elsewhere = fixture();
  await createAdministrator(administrator, { ...given.deps, file: elsewhere.deps.file });
  await expect(createAdministrator(administrator, given.deps)).rejects.toThrow('already exists');
  expect(given.files()).toEqual([]);
});

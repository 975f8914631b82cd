import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TestAuthority } from '@keyfleet/test-support/certificates';
import { expect, test } from 'vitest';
import { readTls } from './tls-files.ts';

test('a file that cannot be read is named where the configuration has it', async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'keyfleet-tls-'));
  const authority = await TestAuthority.make(directory.path, 'roots');
  const files = { ...(await authority.issue('a.test')), caFile: authority.caFile };
  const elsewhere = { field: 'xksProxy', caField: 'xksProxy.client.caFile' };
  expect(readTls(files, elsewhere).ca).toContain('BEGIN CERTIFICATE');
  const without = { ...files, caFile: join(directory.path, 'nowhere.pem') };
  expect(() => readTls(without, elsewhere)).toThrow(/xksProxy\.client\.caFile/);
  expect(() => readTls(without, { field: 'peerTls' })).toThrow(/peerTls\.caFile/);
});

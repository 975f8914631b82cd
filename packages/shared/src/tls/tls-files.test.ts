import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TestAuthority } from '@keyfleet/test-support/certificates';
import { expect, test } from 'vitest';
import { ClientTlsFiles, readTls } from './tls-files.ts';

test('a file that cannot be read is named by its place in the configuration', async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'keyfleet-tls-'));
  const authority = await TestAuthority.make(directory.path, 'roots');
  const files = { ...(await authority.issue('a.test')), caFile: authority.caFile };
  const elsewhere = { field: 'xksProxy', caField: 'xksProxy.client.caFile' };
  expect(readTls(files, elsewhere).ca).toContain('BEGIN CERTIFICATE');
  const without = { ...files, caFile: join(directory.path, 'nowhere.pem') };
  expect(() => readTls(without, elsewhere)).toThrow(/xksProxy\.client\.caFile/);
  expect(() => readTls(without, { field: 'peerTls' })).toThrow(/peerTls\.caFile/);
});

test('a client may have a certificate, authorities, both or neither, and no key of another certificate', async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'keyfleet-tls-'));
  const authority = await TestAuthority.make(directory.path, 'roots');
  const [{ certificateFile, keyFile }, other] = [await authority.issue('a.test'), await authority.issue('b.test')];
  const { caFile } = authority;
  const contentOf = (config: object): string[] => {
    using files = new ClientTlsFiles(config, { field: 'client', onProblem: () => {} });
    return Object.entries(files.content).flatMap(([name, value]) => (value === undefined ? [] : [name]));
  };
  expect(contentOf({})).toEqual([]);
  expect(contentOf({ caFile })).toEqual(['ca']);
  expect(contentOf({ certificateFile, keyFile })).toEqual(['cert', 'key']);
  expect(contentOf({ certificateFile, keyFile, caFile })).toEqual(['cert', 'key', 'ca']);
  expect(() => contentOf({ certificateFile, keyFile: other.keyFile })).toThrow(/^client: .* cannot be used together/);
});

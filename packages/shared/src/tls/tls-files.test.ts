import { X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { mkdtempDisposable } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TestAuthority } from '@keyfleet/test-support/certificates';
import { expect, test, vi } from 'vitest';
import { CertificateAuthority } from '../../../../tools/certificates.ts';
import { certificateEnds } from './certificate-ends.ts';
import { ClientTlsFiles, readTls, TlsFiles } from './tls-files.ts';

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

test('authorities of whom none is left in their file are trusted until there are others', async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'keyfleet-tls-'));
  const { caFile } = await TestAuthority.make(directory.path, 'roots');
  const onProblem = vi.fn<(problem: Error) => void>();
  using files = new ClientTlsFiles({ caFile }, { field: 'client', onProblem });
  const before = files.content;
  const message = `client.caFile: ${caFile} holds no certificate. It must be PEM.`;
  for (const nothing of ['-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n', '\n', '']) {
    writeFileSync(caFile, nothing);
    expect(() => readTls({ caFile }, { field: 'client' }), nothing).toThrow(message);
  }
  // Until the change is seen: the first look is some time after the reading.
  const seen = (): void => {
    writeFileSync(caFile, '');
    expect(onProblem).toHaveBeenCalledWith(expect.objectContaining({ message }));
  };
  await vi.waitFor(seen, { timeout: 10_000, interval: 500 });
  expect(files.content).toBe(before);
});

test('files in use are reported with when they end, until they are disposed', async () => {
  await using directory = await mkdtempDisposable(join(tmpdir(), 'keyfleet-tls-'));
  const root = await CertificateAuthority.create('root');
  const other = await CertificateAuthority.create('other');
  const [days, hours] = [24 * 3_600_000, 3_600_000];
  const [leaf, chained] = [await root.issue('a', ['a.test'], 90 * days), await root.issue('b', ['b.test'], 30 * hours)];
  const ending = (pem: string): number => new X509Certificate(pem).validToDate.getTime() / 1000;
  const at = (name: string): string => join(directory.path, name);
  const [certificateFile, keyFile, caFile] = [at('tls.crt'), at('tls.key'), at('ca.crt')];
  writeFileSync(certificateFile, leaf.certificate + chained.certificate);
  writeFileSync(keyFile, leaf.key, { mode: 0o600 });
  writeFileSync(caFile, chained.certificate + root.certificate + other.certificate);
  const ours = () => certificateEnds().filter(({ file }) => file.startsWith(directory.path));
  {
    using _files = new TlsFiles({ certificateFile, keyFile, caFile }, { field: 'peerTls', onProblem: () => {} });
    expect(ours()).toEqual([
      { file: certificateFile, endsAt: ending(chained.certificate) },
      { file: caFile, endsAt: Math.max(ending(root.certificate), ending(other.certificate)) },
    ]);
  }
  expect(ours()).toEqual([]);
});

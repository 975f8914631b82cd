import { credentials } from '@grpc/grpc-js';
import { type Peers, plaintextPeers } from '@keyfleet/shared/grpc/peers';
import { readTls, type TlsConfig } from '@keyfleet/shared/tls/tls-files';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import type { Home } from './home.ts';

/**
 * Makes the home's authority and a certificate for each holder: a process, the edge that customers call, the operator
 * at the command line. They are kept: `<home>/tls/<holder>.{pem,key}`.
 */
export async function provideTls(home: Home, holders: readonly string[]): Promise<void> {
  if (holders.every((holder) => existsSync(tlsFilesOf(home, holder).keyFile))) return;
  const { CertificateAuthority } = await import('./certificates.ts');
  mkdirSync(home.in('tls'), { recursive: true, mode: 0o700 });
  const authority = await CertificateAuthority.create('Keyfleet development');
  for (const holder of holders) {
    const { certificateFile, keyFile } = tlsFilesOf(home, holder);
    const { certificate, key } = await authority.issue(holder, ['localhost', '127.0.0.1']);
    writeFileSync(certificateFile, certificate, { mode: 0o600 });
    writeFileSync(keyFile, key, { mode: 0o600 });
  }
  writeFileSync(caFileOf(home), authority.certificate, { mode: 0o600 });
}

export function caFileOf(home: Home): string {
  return home.in('tls', 'ca.pem');
}

export function tlsFilesOf(home: Home, holder: string): TlsConfig {
  return {
    certificateFile: home.in('tls', `${holder}.pem`),
    keyFile: home.in('tls', `${holder}.key`),
    caFile: caFileOf(home),
  };
}

/** The launcher calls services as the operator. */
export function peersOf(home: Home): Pick<Peers, 'credentials'> {
  if (!home.facts.tls) return plaintextPeers;
  const { cert, key, ca = '' } = readTls(tlsFilesOf(home, 'operator'), { field: 'tls' });
  return { credentials: credentials.createSsl(Buffer.from(ca), Buffer.from(key), Buffer.from(cert)) };
}

import { type ChannelCredentials, experimental } from '@grpc/grpc-js';
import type { TlsMaterial } from '../tls/tls-files.ts';
import type { WatchedFiles } from '../tls/watched-files.ts';

type Provider = Parameters<typeof experimental.createCertificateProviderChannelCredentials>[0];

/**
 * For channels to who has a certificate of the files' `ca`, and is shown theirs, if there is one. Each new connection
 * uses the files as they are then; open connections stay open.
 */
export function channelCredentials(files: WatchedFiles<Partial<TlsMaterial>>): ChannelCredentials {
  const ca = new Set<experimental.CaCertificateUpdateListener>();
  const identity = new Set<experimental.IdentityCertificateUpdateListener>();
  const tellCa = (listener: experimental.CaCertificateUpdateListener): void =>
    listener({ caCertificate: Buffer.from(files.content.ca ?? '') });
  const tellIdentity = (listener: experimental.IdentityCertificateUpdateListener): void =>
    listener({
      certificate: Buffer.from(files.content.cert ?? ''),
      privateKey: Buffer.from(files.content.key ?? ''),
    });
  files.onChange(() => {
    ca.forEach(tellCa);
    identity.forEach(tellIdentity);
  });
  const provider: Provider = {
    addCaCertificateListener(listener) {
      ca.add(listener);
      queueMicrotask(() => tellCa(listener));
    },
    removeCaCertificateListener: (listener) => void ca.delete(listener),
    addIdentityCertificateListener(listener) {
      identity.add(listener);
      queueMicrotask(() => tellIdentity(listener));
    },
    removeIdentityCertificateListener: (listener) => void identity.delete(listener),
  };
  const own = files.content.cert === undefined ? null : provider;
  return experimental.createCertificateProviderChannelCredentials(provider, own);
}

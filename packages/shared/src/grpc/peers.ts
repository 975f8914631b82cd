import { type ChannelCredentials, credentials, experimental } from '@grpc/grpc-js';
import type { Log } from '../log.ts';
import { TlsConfig, TlsFiles } from '../tls/tls-files.ts';

/** The `peerTls` part of a service's configuration. */
export const PeerTlsConfig = TlsConfig.optional().describe(
  'Mutual TLS between frontends, hsm-workers, domain-managers and operators; without it, these connections are unencrypted under their own seals and signatures.',
);

/** How a service connects to the others. */
export interface Peers extends Disposable {
  /** For the channels that it opens. */
  readonly credentials: ChannelCredentials;
  /** For the port it listens on; undefined: unencrypted. */
  readonly tls: TlsFiles | undefined;
}

/** Throws ConfigError. */
export function startPeers(config: TlsConfig | undefined, onProblem: (problem: Error) => void): Peers {
  if (config === undefined) return plaintextPeers;
  const tls = new TlsFiles(config, { field: 'peerTls', onProblem });
  return { credentials: channelCredentials(tls), tls, [Symbol.dispose]: () => tls[Symbol.dispose]() };
}

export const plaintextPeers: Peers = {
  credentials: credentials.createInsecure(),
  tls: undefined,
  [Symbol.dispose]() {},
};

/** Reports changed files that a service cannot use. */
export function reportOf(log: Log): (problem: Error) => void {
  return (problem) => log.error({ err: problem }, 'changed TLS files cannot be used; the previous ones remain in use');
}

type Provider = Parameters<typeof experimental.createCertificateProviderChannelCredentials>[0];

/** Each new connection uses the files as they are then; open connections stay open. */
function channelCredentials(files: TlsFiles): ChannelCredentials {
  const ca = new Set<experimental.CaCertificateUpdateListener>();
  const identity = new Set<experimental.IdentityCertificateUpdateListener>();
  const tellCa = (listener: experimental.CaCertificateUpdateListener): void =>
    listener({ caCertificate: Buffer.from(files.material.ca ?? '') });
  const tellIdentity = (listener: experimental.IdentityCertificateUpdateListener): void =>
    listener({ certificate: Buffer.from(files.material.cert), privateKey: Buffer.from(files.material.key) });
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
  return experimental.createCertificateProviderChannelCredentials(provider, provider);
}

import { type ChannelCredentials, credentials } from '@grpc/grpc-js';
import type { Log } from '../log.ts';
// Who connects to the others has its credentials from here.
import './answers.ts';
import { channelCredentials } from './credentials.ts';
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

import { type Peers, plaintextPeers, startPeers } from '@keyfleet/shared/grpc/peers';
import type { TlsConfig } from '@keyfleet/shared/tls/tls-files';
import { CliError } from './cli-error.ts';

/** For verbs that connect to services or Redis that use TLS. */
export const tlsOptions = {
  'tls-ca': { type: 'string', description: 'Use TLS; the trusted authorities, PEM.', valueHint: 'FILE' },
  'tls-cert': { type: 'string', description: 'With --tls-ca: your certificate, PEM.', valueHint: 'FILE' },
  'tls-key': { type: 'string', description: "With --tls-ca: the certificate's key, PEM.", valueHint: 'FILE' },
} as const;

export interface TlsArgs {
  readonly 'tls-ca'?: string | undefined;
  readonly 'tls-cert'?: string | undefined;
  readonly 'tls-key'?: string | undefined;
}

/** Undefined: no TLS. Throws CliError. */
export function tlsOf({
  'tls-ca': caFile,
  'tls-cert': certificateFile,
  'tls-key': keyFile,
}: TlsArgs): TlsConfig | undefined {
  if (caFile !== undefined && certificateFile !== undefined && keyFile !== undefined) {
    return { caFile, certificateFile, keyFile };
  }
  if (caFile === undefined && certificateFile === undefined && keyFile === undefined) return undefined;
  throw new CliError('--tls-ca, --tls-cert and --tls-key go together: give all three, or none.', { exitCode: 2 });
}

/** How to connect to the services. Throws CliError, ConfigError. */
export function openPeers(args: TlsArgs): Peers {
  const config = tlsOf(args);
  return config === undefined ? plaintextPeers : startPeers(config, () => {});
}

import { type Peers, plaintextPeers, startPeers } from '@keyfleet/shared/grpc/peers';
import { elsewhereOf } from '@keyfleet/shared/tls/plaintext';
import type { TlsConfig } from '@keyfleet/shared/tls/tls-files';
import { CliError } from './cli-error.ts';

/** For verbs that connect to services or Redis that use TLS. */
export const tlsOptions = {
  'tls-ca': { type: 'string', description: 'Use TLS, and trust these authorities. PEM.', valueHint: 'FILE' },
  'tls-cert': { type: 'string', description: 'With --tls-ca: your certificate, PEM.', valueHint: 'FILE' },
  'tls-key': { type: 'string', description: "With --tls-ca: the certificate's key, PEM.", valueHint: 'FILE' },
  'allow-plaintext': {
    type: 'boolean',
    description: 'Connect to other machines without TLS: for a network that encrypts traffic itself.',
    default: false,
  },
} as const;

export interface TlsArgs {
  readonly 'tls-ca'?: string | undefined;
  readonly 'tls-cert'?: string | undefined;
  readonly 'tls-key'?: string | undefined;
  readonly 'allow-plaintext'?: boolean | undefined;
}

/** Refuses an unencrypted connection that leads `elsewhere`, unless the operator allows it. Throws CliError. */
export function assertLocal(option: string, elsewhere: string | undefined, args: TlsArgs, remedy: string): void {
  if (elsewhere === undefined || args['allow-plaintext'] === true) return;
  const problem = `${elsewhere}, and the connection would be unencrypted`;
  throw new CliError(`${option}: ${problem}: ${remedy}, or give --allow-plaintext.`, { exitCode: 2 });
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

/** How to connect to the services, of which `address` (host:port) is asked first. Throws CliError, ConfigError. */
export function openPeers(address: string, args: TlsArgs): Peers {
  const config = tlsOf(args);
  if (config !== undefined) return startPeers(config, () => {});
  const [, host = address] = /^\[?(.*?)\]?:\d+$/.exec(address) ?? [];
  assertLocal('--domain-manager', elsewhereOf([host]), args, 'give --tls-ca, --tls-cert and --tls-key');
  return plaintextPeers;
}

import type { TlsConfig } from '@keyfleet/shared/tls/tls-files';
import { connect } from 'nats';
import { type NatsUser, natsUserLines } from './nats-users.ts';

export interface NatsSettings {
  readonly port: number;
  readonly directory: string;
  readonly passwordOf: (user: NatsUser) => string;
  readonly tls: TlsConfig | undefined;
}

export function natsConfig({ port, directory, passwordOf, tls }: NatsSettings): string {
  return `server_name: keyfleet
listen: "127.0.0.1:${port}"
jetstream { store_dir: "${directory}" }
${tls === undefined ? '' : tlsBlock(tls)}${natsUserLines(passwordOf)}`;
}

function tlsBlock({ certificateFile, keyFile, caFile }: TlsConfig): string {
  return `tls { cert_file: "${certificateFile}", key_file: "${keyFile}", ca_file: "${caFile}", verify: true }\n`;
}

/**
 * True when the NATS that wrote `output` takes connections and its JetStream answers. As with Redis, another NATS may
 * have the port, and take any password.
 */
export async function natsReady({ port, passwordOf, tls }: NatsSettings, output: string): Promise<boolean> {
  if (!output.includes('Server is ready')) return false;
  const secure = tls && { tls: { certFile: tls.certificateFile, keyFile: tls.keyFile, caFile: tls.caFile } };
  const user = 'domain-manager';
  const settings = {
    servers: `127.0.0.1:${port}`,
    user,
    pass: passwordOf(user),
    inboxPrefix: `_INBOX.${user}`,
    timeout: 1000,
    reconnect: false,
  };
  try {
    const connection = await connect({ ...settings, ...secure });
    try {
      await (await connection.jetstreamManager()).getAccountInfo();
      return true;
    } finally {
      await connection.close();
    }
  } catch {
    return false;
  }
}

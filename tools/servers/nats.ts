import type { TlsConfig } from '@keyfleet/shared/tls/tls-files';
import { connect } from 'nats';

export interface NatsSettings {
  readonly port: number;
  readonly directory: string;
  readonly token: string;
  readonly tls: TlsConfig | undefined;
}

export function natsConfig({ port, directory, token, tls }: NatsSettings): string {
  return `server_name: keyfleet
listen: "127.0.0.1:${port}"
authorization { token: "${token}" }
jetstream { store_dir: "${directory}" }
${tls === undefined ? '' : tlsBlock(tls)}`;
}

function tlsBlock({ certificateFile, keyFile, caFile }: TlsConfig): string {
  return `tls { cert_file: "${certificateFile}", key_file: "${keyFile}", ca_file: "${caFile}", verify: true }\n`;
}

/** True when NATS takes connections and JetStream answers. */
export async function natsReady({ port, token, tls }: NatsSettings): Promise<boolean> {
  const secure = tls && { tls: { certFile: tls.certificateFile, keyFile: tls.keyFile, caFile: tls.caFile } };
  const settings = { servers: `127.0.0.1:${port}`, token, timeout: 1000, reconnect: false };
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

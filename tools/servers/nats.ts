import { connect } from 'nats';

export interface NatsSettings {
  readonly port: number;
  readonly directory: string;
  readonly token: string;
}

export function natsConfig({ port, directory, token }: NatsSettings): string {
  return `server_name: keyfleet
listen: "127.0.0.1:${port}"
authorization { token: "${token}" }
jetstream { store_dir: "${directory}" }
`;
}

/** True when NATS takes connections and JetStream answers. */
export async function natsReady({ port, token }: NatsSettings): Promise<boolean> {
  try {
    const connection = await connect({ servers: `127.0.0.1:${port}`, token, timeout: 1000, reconnect: false });
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

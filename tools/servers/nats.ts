import { setTimeout } from 'node:timers/promises';
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

/** Resolves when NATS takes connections and JetStream answers. */
export async function natsReady({ port, token }: NatsSettings, signal: AbortSignal): Promise<void> {
  for (;;) {
    signal.throwIfAborted();
    try {
      const connection = await connect({ servers: `127.0.0.1:${port}`, token, timeout: 1000, reconnect: false });
      try {
        const manager = await connection.jetstreamManager();
        await manager.getAccountInfo();
        return;
      } finally {
        await connection.close();
      }
    } catch {
      await setTimeout(25, undefined, { signal });
    }
  }
}

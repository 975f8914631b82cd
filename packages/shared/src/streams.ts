import { type NatsConnection, NatsError, type StreamConfig } from 'nats';

/** JetStream's code for a stream that exists with other settings. */
const OTHER_SETTINGS = 10_058;

/**
 * Creates the stream, or changes it to these settings, such as another number of replicas. Only publishers call this:
 * NATS users that only take may create nothing (deploy/nats/users.conf).
 */
export async function assertStream(
  connection: NatsConnection,
  config: Partial<StreamConfig> & { readonly name: string },
): Promise<void> {
  const { streams } = await connection.jetstreamManager();
  try {
    await streams.add(config);
  } catch (error) {
    if (!(error instanceof NatsError) || error.api_error?.err_code !== OTHER_SETTINGS) throw error;
    await streams.update(config.name, config);
  }
}

/** Whether JetStream answered that there is no such stream, consumer or message. */
export function isNotFound(error: unknown): boolean {
  return error instanceof NatsError && error.api_error?.code === 404;
}

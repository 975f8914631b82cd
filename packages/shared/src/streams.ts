import { type JetStreamManager, type NatsConnection, NatsError, type StreamConfig } from 'nats';

/** HTTP's: the cluster has no leader or no room for now. */
const UNAVAILABLE = 503;
/**
 * A message takes a hundred bytes, and at most 16 subjects have one each. Beyond this the oldest go: whoever may ask
 * JetStream anything may have it answer to the subjects of a stream, and would fill the disk of NATS.
 */
const MAX_BYTES = 1_048_576;

type Stream = Partial<StreamConfig> & { readonly name: string };

/**
 * Creates the stream, and has `withStream` do the rest. One that exists with other settings, such as another number of
 * replicas, or that somebody sealed, is made anew, for nothing in it must be kept. (To change one, the client first
 * asks for its subjects, page after page for as long as the server says that there are more.) Only publishers call
 * this: NATS users that only take may create nothing (deploy/nats/users.conf).
 */
export async function assertStream(
  connection: NatsConnection,
  stream: Stream,
  withStream: (manager: JetStreamManager) => Promise<unknown> = async () => {},
): Promise<void> {
  const manager = await connection.jetstreamManager();
  const { streams } = manager;
  const config = { max_bytes: MAX_BYTES, ...stream };
  try {
    await streams.add(config);
    await withStream(manager);
  } catch (error) {
    if (!isRefusedForGood(error)) throw error;
    // There is none where its subjects are another stream's. Then the second refusal says so, too.
    await removeStream(manager, config.name);
    await streams.add(config);
    await withStream(manager);
  }
}

/** Whether or not it exists. */
export async function removeStream({ streams }: JetStreamManager, name: string): Promise<void> {
  try {
    await streams.delete(name);
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}

function isRefusedForGood(error: unknown): boolean {
  const answer = error instanceof NatsError ? error.api_error : undefined;
  return answer !== undefined && answer.code !== UNAVAILABLE;
}

/** Whether JetStream answered that there is no such stream, consumer or message. */
export function isNotFound(error: unknown): boolean {
  return error instanceof NatsError && error.api_error?.code === 404;
}

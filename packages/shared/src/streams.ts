import { type JetStreamManager, type NatsConnection, NatsError, type StreamConfig } from 'nats';

/** JetStream's code for a stream that exists with other settings. */
const OTHER_SETTINGS = 10_058;
/** HTTP's: the cluster has no leader or no room for now. */
const UNAVAILABLE = 503;
/**
 * A message takes a hundred bytes, and at most 16 subjects have one each. Beyond this the oldest go: whoever may ask
 * JetStream anything may have it answer to the subjects of a stream, and would fill the disk of NATS.
 */
const MAX_BYTES = 1_048_576;

type Stream = Partial<StreamConfig> & { readonly name: string };

/**
 * Creates the stream, or changes it to these settings, such as another number of replicas, and has `withStream` do the
 * rest. What somebody did to a stream may be for good, such as to seal it: then it is made anew, for nothing in it must
 * be kept. Only publishers call this: NATS users that only take may create nothing (deploy/nats/users.conf).
 */
export async function assertStream(
  connection: NatsConnection,
  stream: Stream,
  withStream: (manager: JetStreamManager) => Promise<unknown> = async () => {},
): Promise<void> {
  const manager = await connection.jetstreamManager();
  const { streams } = manager;
  const config = { max_bytes: MAX_BYTES, ...stream };
  const assertConfig = async (): Promise<void> => {
    try {
      await streams.add(config);
    } catch (error) {
      if (codeOf(error) !== OTHER_SETTINGS) throw error;
      // What our settings do not name stays as it was: whether that matters is for JetStream to say.
      await streams.update(config.name, config);
      await streams.add(config);
    }
  };
  try {
    await assertConfig();
    await withStream(manager);
  } catch (error) {
    if (codeOf(error) === undefined) throw error;
    await streams.delete(config.name);
    await streams.add(config);
    await withStream(manager);
  }
}

/** Undefined unless JetStream refused for good. */
function codeOf(error: unknown): number | undefined {
  const answer = error instanceof NatsError ? error.api_error : undefined;
  return answer?.code === UNAVAILABLE ? undefined : answer?.err_code;
}

/** Whether JetStream answered that there is no such stream, consumer or message. */
export function isNotFound(error: unknown): boolean {
  return error instanceof NatsError && error.api_error?.code === 404;
}

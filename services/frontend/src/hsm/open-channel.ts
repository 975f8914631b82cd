import { setTimeout as delay } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { Channel, type ChannelOptions, type FrameStream } from './channel.ts';
import { StreamOpening } from './stream-opening.ts';

/** The worker did not accept the session: another is needed. */
export class SessionNotAcceptedError extends Error {
  override name = 'SessionNotAcceptedError';
}

const OPEN_TIMEOUT_MS = 2000;

/** Opens a channel on a fresh Execute call. Throws `SessionNotAcceptedError`, or what the call failed with. */
export async function openChannel(stream: FrameStream, options: ChannelOptions): Promise<Channel> {
  // Listens for ever: without an error listener a stream that is cancelled would end the process.
  const ended = new Promise<never>((_, reject) => {
    stream.on('error', reject).on('end', () => reject(new Error('the worker ended the stream')));
  });
  const late = delay(OPEN_TIMEOUT_MS, undefined, { ref: false }).then(() => {
    throw new Error('the worker did not open the stream in time');
  });
  try {
    return await Promise.race([firstAnswer(stream, options), ended, late]);
  } catch (error) {
    stream.cancel();
    if ((error as { code?: unknown }).code === status.UNAUTHENTICATED) {
      throw new SessionNotAcceptedError('the worker did not accept the session', { cause: error });
    }
    throw error;
  }
}

async function firstAnswer(stream: FrameStream, options: ChannelOptions): Promise<Channel> {
  const opening = await StreamOpening.start(options.session);
  const answered = new Promise<Uint8Array>((resolve) => {
    stream.once('data', ({ body }) => resolve(body ?? new Uint8Array()));
  });
  stream.write({ body: opening.open });
  // A member says nothing more before it has heard of us: no frame is missed meanwhile.
  return new Channel(stream, await opening.finish(await answered, options.domain), options);
}

import { randomBytes, sign } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { status } from '@grpc/grpc-js';
import {
  agree,
  decapsulateWith,
  type EphemeralKey,
  newAgreementKey,
  newEncapsulationKey,
} from '@keyfleet/shared/hsm/ephemeral-keys';
import { DelegatedMessage, sha256, SignedMessage, StreamAccept, StreamOpen } from '@keyfleet/shared/hsm/session';
import type { Protocols } from '@keyfleet/shared/hsm/protocol';
import { streamKeys } from '@keyfleet/shared/hsm/stream-keys';
import { Channel, type ChannelOptions, type FrameStream, type OpenedStream } from './channel.ts';
import { assertHasNewest, catchUp, type KnownDomain } from './known-domain.ts';
import { type HostSession, NegotiationError, verifiedMember } from './negotiation.ts';

/** The worker did not accept the session; a new one is needed. */
export class SessionNotAcceptedError extends Error {
  override name = 'SessionNotAcceptedError';
}

const OPEN_TIMEOUT_MS = 2000;

/**
 * Opens a channel on a fresh Execute call. The worker has answered on it: it may refuse the first frame, if it has too
 * many streams of this host. Throws `SessionNotAcceptedError` or the call's own error.
 */
export async function openChannel(stream: FrameStream, options: ChannelOptions): Promise<Channel> {
  // These listeners stay for good: without an error listener, a cancelled stream would end the process.
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
  const opening = await StreamOpening.start(options.session, options.protocols);
  const answered = new Promise<Uint8Array>((resolve) => {
    stream.once('data', ({ body }) => resolve(body ?? new Uint8Array()));
  });
  stream.write({ body: opening.open });
  // A member sends nothing more until it has heard from us, so no frame is missed meanwhile.
  const channel = new Channel(stream, await opening.finish(await answered, options.domain), options);
  await channel.heard;
  return channel;
}

const signOffLoop = promisify(sign);

/** The host's end of a stream's handshake: `open` goes to a worker, and `finish` takes its answer. */
export class StreamOpening {
  /** The stream's first message. */
  readonly open: Buffer;
  readonly #session: HostSession;
  readonly #protocols: Protocols;
  readonly #agreement: EphemeralKey;
  readonly #encapsulation: EphemeralKey;

  static async start(session: HostSession, protocols: Protocols): Promise<StreamOpening> {
    const [agreement, encapsulation] = await Promise.all([newAgreementKey(), newEncapsulationKey()]);
    const message = StreamOpen.encode({
      sessionToken: session.sessionToken,
      nonce: randomBytes(32),
      ephemeralKey: agreement.publicKey,
      encapsulationKey: encapsulation.publicKey,
      versions: [...protocols.keys()],
    });
    const signature = await signOffLoop(null, message, session.delegatedKey);
    const open = DelegatedMessage.encode({ message, signature });
    return new StreamOpening({ session, protocols, open }, { agreement, encapsulation });
  }

  private constructor(
    said: { readonly session: HostSession; readonly protocols: Protocols; readonly open: Buffer },
    keys: { readonly agreement: EphemeralKey; readonly encapsulation: EphemeralKey },
  ) {
    this.#session = said.session;
    this.#protocols = said.protocols;
    this.open = said.open;
    this.#agreement = keys.agreement;
    this.#encapsulation = keys.encapsulation;
  }

  /**
   * Throws if this is not a member's answer to `open`, and while the member lacks the newest domain token known here.
   */
  async finish(signedAccept: Uint8Array, domain: KnownDomain): Promise<OpenedStream> {
    const signed = SignedMessage.decode(signedAccept);
    const accept = StreamAccept.decode(signed.message);
    // As with a recorded answer to another hello: it would count as the member's proof of what it has now.
    if (!sha256(this.open).equals(accept.openHash)) throw new NegotiationError('it accepts another stream');
    await catchUp(domain, accept);
    const member = await verifiedMember(domain, accept.memberId, signed);
    await assertHasNewest(domain, member, accept);
    const { sessionKey, memberId } = this.#session;
    if (member.memberId !== memberId) {
      throw new SessionNotAcceptedError(`${member.memberId} accepts a session that ${memberId} made`);
    }
    const layout = this.#protocols.get(accept.version);
    if (layout === undefined) throw new NegotiationError('it chose a protocol version that was not offered');
    const agreed = await agree(this.#agreement.privateKey, accept.ephemeralKey);
    const encapsulated = await decapsulateWith(this.#encapsulation.privateKey, accept.kemCiphertext);
    return { member, layout, keys: streamKeys({ sessionKey, agreed, encapsulated }, this.open, signedAccept) };
  }
}

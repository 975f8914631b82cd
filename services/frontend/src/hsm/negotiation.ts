import { createSecretKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { Clock } from '@keyfleet/shared/clock';
import { ivLength, open, splitTag } from '@keyfleet/shared/encoding/aead';
import { isSignatureOfOffLoop, signBytesOffLoop } from '@keyfleet/shared/domain/signature';
import type { Member } from '@keyfleet/shared/domain/state';
import { agree, type EphemeralKey, newAgreementKey } from '@keyfleet/shared/hsm/ephemeral-keys';
import { Answer, CLOCK_SKEW_MS, Hello, SESSION_MS, sha256, SignedMessage } from '@keyfleet/shared/hsm/session';
import { transportKey } from '@keyfleet/shared/hsm/stream-keys';
import { assertHasNewest, catchUp, type KnownDomain } from './known-domain.ts';

/** This frontend's identity in the domain: an operator with the role `service-host`. */
export interface HostIdentity {
  readonly operatorId: string;
  /** P-384. */
  readonly privateKey: KeyObject;
}

/** A session with one HSM of the domain. */
export interface HostSession {
  /** The member that made it. Any other could open its token, but need not find this key in it. */
  readonly memberId: string;
  readonly sessionId: Uint8Array;
  readonly sessionKey: KeyObject;
  readonly sessionToken: Uint8Array;
  /** Ed25519. Opens streams and signs the commands that change key material, on behalf of this session. */
  readonly delegatedKey: KeyObject;
  /** The generation of the domain state under which the session was made. */
  readonly generation: number;
  /** At half the validity; from then on a new session is wanted. */
  readonly renewAt: number;
  readonly expiresAt: number;
}

/** The answer is not from a member of the domain, or not an answer to our hello. */
export class NegotiationError extends Error {
  override name = 'NegotiationError';
}

export interface NegotiationOptions {
  readonly host: HostIdentity;
  readonly domain: KnownDomain;
  readonly clock: Clock;
}

/** One negotiation: `hello` goes to an HSM, and `finish` takes its answer. */
export class Negotiation {
  readonly hello: Buffer;
  readonly #ephemeral: EphemeralKey;
  readonly #delegatedKey: KeyObject;
  readonly #domain: KnownDomain;
  readonly #clock: Clock;
  readonly #startedAt: number;

  /** Throws while no domain token is verified. */
  static async start(options: NegotiationOptions): Promise<Negotiation> {
    const { host, domain, clock } = options;
    const name = domain.verified?.state.domain;
    if (name === undefined) throw new Error('no verified domain state yet');
    const ephemeral = await newAgreementKey();
    const delegated = generateKeyPairSync('ed25519');
    const startedAt = clock.now();
    const message = Hello.encode({
      domain: name,
      hostId: host.operatorId,
      ephemeralKey: ephemeral.publicKey,
      delegatedKey: delegated.publicKey.export({ format: 'raw-public' }),
      issuedAt: startedAt,
    });
    const hello = SignedMessage.encode({ message, signature: await signBytesOffLoop(host.privateKey, message) });
    return new Negotiation(options, { hello, ephemeral, delegatedKey: delegated.privateKey, startedAt });
  }

  private constructor(
    { domain, clock }: NegotiationOptions,
    said: { hello: Buffer; ephemeral: EphemeralKey; delegatedKey: KeyObject; startedAt: number },
  ) {
    this.#domain = domain;
    this.#clock = clock;
    this.hello = said.hello;
    this.#ephemeral = said.ephemeral;
    this.#delegatedKey = said.delegatedKey;
    this.#startedAt = said.startedAt;
  }

  /** Checks the answer against the newest domain token known here or to the member. Throws `NegotiationError`. */
  async finish(signedAnswer: Uint8Array): Promise<HostSession> {
    try {
      return await this.#finish(signedAnswer);
    } catch (cause) {
      const why = cause instanceof Error ? `: ${cause.message}` : '';
      throw new NegotiationError(`the HSM answered with something that does not verify${why}`, { cause });
    }
  }

  async #finish(signedAnswer: Uint8Array): Promise<HostSession> {
    const signed = SignedMessage.decode(signedAnswer);
    const answer = Answer.decode(signed.message);
    const helloHash = sha256(this.hello);
    // What a member answered to another hello proves nothing of now: whoever recorded it could bring it at any time.
    if (!helloHash.equals(answer.helloHash)) throw new NegotiationError('it answers another hello');
    await catchUp(this.#domain, answer);
    const member = await verifiedMember(this.#domain, answer.memberId, signed);
    await assertHasNewest(this.#domain, member, answer);
    const expiresAt = this.#expiryOf(answer);
    const agreed = await agree(this.#ephemeral.privateKey, answer.ephemeralKey);
    return {
      memberId: member.memberId,
      sessionId: answer.sessionId,
      sessionKey: openSessionKey(answer.sealedSessionKey, transportKey(agreed, helloHash, answer.memberId)),
      sessionToken: answer.sessionToken,
      delegatedKey: this.#delegatedKey,
      generation: answer.generation,
      renewAt: this.#startedAt + (expiresAt - this.#startedAt) / 2,
      expiresAt,
    };
  }

  /**
   * By our own clock, a session never lasts longer than sessions do, whatever its maker says. Nor does it last less:
   * a member that made it end at once would be asked for the next one again and again.
   */
  #expiryOf({ expiresAt }: Answer): number {
    const latest = this.#startedAt + SESSION_MS;
    if (expiresAt < latest - CLOCK_SKEW_MS) {
      throw new NegotiationError('shorter than a session lives, or a clock is wrong');
    }
    if (expiresAt > this.#clock.now() + SESSION_MS + CLOCK_SKEW_MS) {
      throw new NegotiationError('longer than a session may live, or a clock is wrong');
    }
    return Math.min(expiresAt, latest);
  }
}

/**
 * The member, of those that may prove something, that signed this. Throws if there is none. An offline member serves
 * nobody: who answers in its name has found its file and secret.
 */
export async function verifiedMember(
  domain: KnownDomain,
  memberId: string,
  { message, signature }: ReturnType<typeof SignedMessage.decode>,
): Promise<Member> {
  const member = domain.provers.find((one) => one.memberId === memberId);
  if (member === undefined) throw new NegotiationError('not a member of the domain');
  if (member.offline === true) throw new NegotiationError(`${memberId} is an offline member, which serves nobody`);
  if (!(await isSignatureOfOffLoop(member.signingKey, message, signature))) {
    throw new NegotiationError(`the signature of ${memberId} does not verify`);
  }
  return member;
}

function openSessionKey(sealed: Uint8Array, key: KeyObject): KeyObject {
  // The transport key encrypts one message only, hence the constant IV.
  const plain = open({ key, iv: Buffer.alloc(ivLength) }, splitTag(sealed));
  const sessionKey = createSecretKey(plain);
  plain.fill(0);
  return sessionKey;
}

import {
  createDecipheriv,
  createECDH,
  createSecretKey,
  type ECDH,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
import type { Clock } from '@keyfleet/shared/clock';
import { isSignatureOf, signBytes } from '@keyfleet/shared/domain/signature';
import type { DomainState } from '@keyfleet/shared/domain/state';
import { Answer, Hello, sha256, SignedMessage, transportKey } from '@keyfleet/shared/hsm/session';

/** Who this frontend is in the domain: an operator with the role `service-host`. */
export interface HostIdentity {
  readonly operatorId: string;
  /** P-384. */
  readonly privateKey: KeyObject;
}

/** A session with the HSMs of the domain; any of them serves it. */
export interface HostSession {
  readonly sessionId: Uint8Array;
  readonly sessionKey: KeyObject;
  readonly sessionToken: Uint8Array;
  /** Ed25519: signs the commands that change key material, in this session's name. */
  readonly delegatedKey: KeyObject;
  /** Half the validity: from here on a new session is wanted. */
  readonly renewAt: number;
  readonly expiresAt: number;
}

/** The answer is not from a member of the domain, or not to our hello. */
export class NegotiationError extends Error {
  override name = 'NegotiationError';
}

const TAG_BYTES = 16;
const RAW_ED25519_BYTES = 32;

/** One negotiation: `hello` goes to an HSM, `finish` takes its answer. */
export class Negotiation {
  readonly hello: Buffer;
  readonly #ecdh: ECDH = createECDH('secp384r1');
  readonly #delegated = generateKeyPairSync('ed25519');
  readonly #clock: Clock;
  readonly #startedAt: number;

  constructor(options: { domain: string; host: HostIdentity; clock: Clock }) {
    const { domain, host, clock } = options;
    this.#clock = clock;
    this.#startedAt = clock.now();
    const hello = Hello.encode({
      domain,
      hostId: host.operatorId,
      ephemeralKey: this.#ecdh.generateKeys(),
      delegatedKey: this.#delegated.publicKey.export({ type: 'spki', format: 'der' }).subarray(-RAW_ED25519_BYTES),
    });
    this.hello = SignedMessage.encode({ message: hello, signature: signBytes(host.privateKey, hello) });
  }

  /** Checks the answer against our own verified copy of the domain state. Throws `NegotiationError`. */
  finish(signedAnswer: Uint8Array, state: DomainState): HostSession {
    try {
      return this.#finish(signedAnswer, state);
    } catch (cause) {
      throw new NegotiationError('the HSM answered with something that does not verify', { cause });
    }
  }

  #finish(signedAnswer: Uint8Array, state: DomainState): HostSession {
    const signed = SignedMessage.decode(signedAnswer);
    const answer = Answer.decode(signed.message);
    const helloHash = sha256(this.hello);
    const member = state.members.find(({ memberId }) => memberId === answer.memberId);
    if (member === undefined || !isSignatureOf(member.signingKey, signed.message, signed.signature))
      throw new NegotiationError('not a member');
    if (!helloHash.equals(answer.helloHash)) throw new NegotiationError('answers another hello');
    const now = this.#clock.now();
    if (answer.expiresAt <= now) throw new NegotiationError('expired, or a clock is wrong');
    const secret = this.#ecdh.computeSecret(answer.ephemeralKey);
    return {
      sessionId: answer.sessionId,
      sessionKey: openSessionKey(answer.sealedSessionKey, transportKey(secret, helloHash, answer.memberId)),
      sessionToken: answer.sessionToken,
      delegatedKey: this.#delegated.privateKey,
      renewAt: this.#startedAt + (answer.expiresAt - this.#startedAt) / 2,
      expiresAt: answer.expiresAt,
    };
  }
}

function openSessionKey(sealed: Uint8Array, key: KeyObject): KeyObject {
  // The transport key serves one message, hence the constant IV.
  const decipher = createDecipheriv('aes-256-gcm', key, Buffer.alloc(12), { authTagLength: TAG_BYTES });
  decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
  const plain = Buffer.concat([decipher.update(sealed.subarray(0, -TAG_BYTES)), decipher.final()]);
  const sessionKey = createSecretKey(plain);
  plain.fill(0);
  return sessionKey;
}

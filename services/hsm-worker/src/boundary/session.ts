import { createPublicKey, type KeyObject, verify } from 'node:crypto';
import { promisify } from 'node:util';
import { ivLength, seal } from '@keyfleet/shared/encoding/aead';
import type { Clock } from '@keyfleet/shared/clock';
import { isSignatureOfOffLoop } from '@keyfleet/shared/domain/signature';
import type { DomainState } from '@keyfleet/shared/domain/state';
import { agree, encapsulateTo, newAgreementKey } from '@keyfleet/shared/hsm/ephemeral-keys';
import { commonVersion, type FrameLayout, type Protocols, ProtocolVersionError } from '@keyfleet/shared/hsm/protocol';
import {
  Answer,
  CLOCK_SKEW_MS,
  DelegatedMessage,
  Hello,
  SESSION_MS,
  sha256,
  SignedMessage,
  StreamAccept,
  StreamOpen,
} from '@keyfleet/shared/hsm/session';
import { type StreamKeys, streamKeys, transportKey } from '@keyfleet/shared/hsm/stream-keys';
import type { Random } from './crypto/random.ts';
import { RefusedError } from './errors.ts';
import { newSecretKey } from './domain/domain-secrets.ts';
import type { Keyring } from './domain/keyring.ts';
import { HelloMemory } from './hello-memory.ts';
import { openSessionToken, sealSessionToken, type SessionGrant } from './session-token.ts';

/** The domain, as installed by this member. */
export interface Installed {
  readonly state: DomainState;
  /** The hash of the token that made `state`. */
  readonly tokenHash: Uint8Array;
  readonly keyring: Keyring;
  /** Whether session tokens under this domain key are still accepted. */
  takesSessionsUnder(domainKeyId: string): boolean;
}

/** What the session needs of the HSM. */
export interface SessionMember {
  readonly memberId: string;
  /** Undefined while the HSM belongs to no domain. */
  readonly installed: Installed | undefined;
}

/** A `SignedMessage` under the identity's signing key, made once a crash cannot take back what is installed. */
export type SignWhenDurable = (message: Uint8Array) => Promise<Uint8Array>;

/** The only error for a handshake or stream that is not accepted. No reason crosses the boundary. */
export class SessionRefusedError extends Error {
  override name = 'SessionRefusedError';
}

/** An accepted stream: its host, its validity and its keys. */
export interface AcceptedStream {
  /** The stream's first message back to the host. */
  readonly accept: Uint8Array;
  readonly hostId: string;
  readonly sessionId: Uint8Array;
  readonly delegatedKey: KeyObject;
  readonly keys: StreamKeys;
  readonly layout: FrameLayout;
  /** Whether the session may still be used: its time, its host and the domain key of its token are still good. */
  isValid(): boolean;
}

export interface SessionsDeps {
  readonly member: SessionMember;
  readonly signWhenDurable: SignWhenDurable;
  readonly clock: Clock;
  readonly random: Random;
  readonly protocols: Protocols;
  /** A token was sealed under a domain key that this member does not have: there may be a newer domain token. */
  readonly onUnknownDomainKey: () => void;
}

/** A decoded hello whose signature is not verified yet. */
interface SaidHello {
  readonly hello: Hello;
  readonly message: Uint8Array;
  readonly signature: Uint8Array;
  /** The host's key in the state: the signature must verify under it. */
  readonly hostKey: Uint8Array;
}

/**
 * The member's end of the handshake. It keeps no table of sessions: a session's token contains everything about it.
 * Steps that cost a millisecond (all those on P-384) run on the thread pool, after every cheap check has passed.
 */
export class Sessions {
  readonly #deps: SessionsDeps;
  readonly #hellos: HelloMemory;

  constructor(deps: SessionsDeps) {
    this.#deps = deps;
    this.#hellos = new HelloMemory(deps.clock);
  }

  /** Answers a host's signed hello. Throws `SessionRefusedError`. */
  negotiate(signedHello: Uint8Array): Promise<Uint8Array> {
    return this.#refuseAllAlike(() => this.#negotiate(signedHello));
  }

  /**
   * Accepts a stream opened with a session token of any member. Throws `SessionRefusedError`; throws
   * `ProtocolVersionError` only to a host that has authenticated.
   */
  accept(open: Uint8Array): Promise<AcceptedStream> {
    return this.#refuseAllAlike(() => this.#accept(open));
  }

  async #negotiate(signedHello: Uint8Array): Promise<Uint8Array> {
    const { member, signWhenDurable, clock, random } = this.#deps;
    const { state, tokenHash, keyring } = installedOf(member);
    const said = readHello(signedHello, state);
    const { hello, message } = said;
    if (!this.#hellos.isFresh(message, hello) || !(await isSigned(said))) throw new SessionRefusedError();
    // Checked again: the same hello may have arrived twice meanwhile.
    if (!this.#hellos.take(message, hello)) throw new SessionRefusedError();

    // The session key is fresh and random; the agreed key only carries it (AWS KMS Cryptographic Details).
    const sessionKey = newSecretKey(random);
    const sessionId = random(16);
    const notBefore = clock.now();
    const expiresAt = notBefore + SESSION_MS;
    const session = { sessionId, sessionKey, signedHello, notBefore, expiresAt };
    const sessionToken = sealSessionToken(session, { keyring, nonce: random });
    const helloHash = sha256(signedHello);
    const { memberId } = member;
    const sealed = await sealForHost(sessionKey, { hello, helloHash, memberId });
    const { generation } = state;
    const rest = { helloHash, memberId, sessionId, sessionToken, expiresAt, generation, tokenHash };
    return signWhenDurable(Answer.encode({ ...rest, ...sealed }));
  }

  async #accept(signedOpen: Uint8Array): Promise<AcceptedStream> {
    const { member } = this.#deps;
    const { message, signature } = DelegatedMessage.decode(signedOpen);
    const open = StreamOpen.decode(message);
    const { state, keyring } = installedOf(member);
    const grant = openSessionToken(open.sessionToken, keyring);
    const said = readHello(grant.signedHello, state);
    const isValid = this.#validityOf(grant, said);
    const delegatedKey = ed25519Key(said.hello.delegatedKey);
    if (!belongsTo(grant, said.hello) || !isValid()) throw new SessionRefusedError();
    if (!(await verifyOffLoop(null, message, delegatedKey, signature)) || !(await isSigned(said))) {
      throw new SessionRefusedError();
    }
    const { accept, keys, layout } = await this.#answerOf(signedOpen, open, grant.sessionKey);
    if (!isValid()) throw new SessionRefusedError();
    const { sessionId } = grant;
    return { accept, hostId: said.hello.hostId, sessionId, delegatedKey, keys, layout, isValid };
  }

  /** This member's signed ephemeral keys for the stream, and the keys derived from both sides'. */
  async #answerOf(signedOpen: Uint8Array, open: ReturnType<typeof StreamOpen.decode>, sessionKey: KeyObject) {
    const { member, signWhenDurable, random, protocols } = this.#deps;
    const version = commonVersion(protocols, open.versions);
    const { privateKey, publicKey: ephemeralKey } = await newAgreementKey();
    const agreed = await agree(privateKey, open.ephemeralKey);
    const { secret: encapsulated, ciphertext: kemCiphertext } = await encapsulateTo(open.encapsulationKey);
    const { state, tokenHash } = installedOf(member);
    const { generation } = state;
    const said = { openHash: sha256(signedOpen), memberId: member.memberId, nonce: random(32), generation, tokenHash };
    const accept = await signWhenDurable(StreamAccept.encode({ ...said, ephemeralKey, kemCiphertext, version }));
    const keys = streamKeys({ sessionKey, agreed, encapsulated }, signedOpen, accept);
    return { accept, keys, layout: protocols.get(version)! };
  }

  /** Called for every frame, so the domain is examined again only when another state is installed. */
  #validityOf({ domainKeyId, notBefore, expiresAt }: SessionGrant, { hello, hostKey }: SaidHello): () => boolean {
    const { member, clock } = this.#deps;
    let checked: DomainState | undefined;
    let isGood = false;
    return () => {
      const { installed } = member;
      if (installed?.state !== checked) {
        checked = installed?.state;
        const key = checked && hostKeyOf(checked, hello.hostId);
        // Compares with the key that verified the signature: a host whose key is replaced loses its sessions.
        isGood = key !== undefined && Buffer.compare(key, hostKey) === 0 && installed!.takesSessionsUnder(domainKeyId);
      }
      const now = clock.now();
      return isGood && now >= notBefore - CLOCK_SKEW_MS && now < expiresAt + CLOCK_SKEW_MS;
    };
  }

  async #refuseAllAlike<T>(run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      if (error instanceof RefusedError && error.refusal === 'unknown-domain-key') this.#deps.onUnknownDomainKey();
      if (error instanceof ProtocolVersionError) throw error;
      throw new SessionRefusedError();
    }
  }
}

const verifyOffLoop = promisify(verify);

function installedOf(member: SessionMember): Installed {
  if (member.installed === undefined) throw new SessionRefusedError();
  return member.installed;
}

/** Throws if the hello is for another domain, or its sender is not a service host of this one. */
function readHello(signedHello: Uint8Array, state: DomainState): SaidHello {
  const { message, signature } = SignedMessage.decode(signedHello);
  const hello = Hello.decode(message);
  const hostKey = hostKeyOf(state, hello.hostId);
  if (hello.domain !== state.domain || hostKey === undefined) throw new SessionRefusedError();
  return { hello, message, signature, hostKey };
}

function isSigned({ message, signature, hostKey }: SaidHello): Promise<boolean> {
  return isSignatureOfOffLoop(hostKey, message, signature);
}

/** A session's lifetime starts when its host asked for it: a holder of a domain key cannot make a hello last longer. */
function belongsTo({ notBefore, expiresAt }: SessionGrant, { issuedAt }: Hello): boolean {
  return expiresAt - notBefore <= SESSION_MS && Math.abs(notBefore - issuedAt) <= CLOCK_SKEW_MS;
}

function hostKeyOf(state: DomainState, hostId: string): Uint8Array | undefined {
  return state.operators.find(({ operatorId, role }) => operatorId === hostId && role === 'service-host')?.signingKey;
}

interface HelloContext {
  readonly hello: { readonly ephemeralKey: Uint8Array };
  readonly helloHash: Uint8Array;
  readonly memberId: string;
}

/** One-pass: this member's ephemeral key, and the session key sealed under the agreed key. */
async function sealForHost(sessionKey: KeyObject, { hello, helloHash, memberId }: HelloContext) {
  const { privateKey, publicKey: ephemeralKey } = await newAgreementKey();
  const key = transportKey(await agree(privateKey, hello.ephemeralKey), helloHash, memberId);
  const plain = sessionKey.export();
  // The key seals only this one message, so a constant IV is safe.
  const sealed = seal({ key, iv: Buffer.alloc(ivLength) }, plain);
  plain.fill(0);
  return { ephemeralKey, sealedSessionKey: Buffer.concat(sealed) };
}

function ed25519Key(raw: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.from(raw), format: 'raw-public', asymmetricKeyType: 'ed25519' });
}

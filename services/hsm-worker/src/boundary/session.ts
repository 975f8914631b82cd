import { createECDH, createPublicKey, createSecretKey, type KeyObject } from 'node:crypto';
import type { Clock } from '@keyfleet/shared/clock';
import { isSignatureOf } from '@keyfleet/shared/domain/signature';
import type { DomainState } from '@keyfleet/shared/domain/state';
import {
  Answer,
  CLOCK_SKEW_MS,
  Hello,
  sha256,
  SignedMessage,
  StreamAccept,
  type StreamKeys,
  streamKeys,
  StreamOpen,
  transportKey,
} from '@keyfleet/shared/hsm/session';
import { type Random, RefusedError } from './commands/command.ts';
import { ivLength, seal } from './crypto/aead.ts';
import type { Keyring } from './domain/keyring.ts';
import { openSessionToken, sealSessionToken, type SessionGrant } from './session-token.ts';

export const SESSION_MS = 3_600_000;

/** The domain as this member has installed it. */
export interface Installed {
  readonly state: DomainState;
  readonly keyring: Keyring;
}

/** What the session needs of the HSM. */
export interface SessionMember {
  readonly memberId: string;
  /** Undefined while the HSM belongs to no domain. */
  readonly installed: Installed | undefined;
  /** A `SignedMessage` under the identity's signing key. */
  signMessage(message: Uint8Array): Uint8Array;
}

/** The one error for every handshake and every stream that is not accepted. No reason crosses the boundary. */
export class SessionRefusedError extends Error {
  override name = 'SessionRefusedError';
}

/** An accepted stream: who speaks on it, until when, under which keys. */
export interface AcceptedStream {
  /** Sent back as the stream's first message. */
  readonly accept: Uint8Array;
  readonly hostId: string;
  readonly sessionId: Uint8Array;
  readonly delegatedKey: KeyObject;
  readonly keys: StreamKeys;
  /** Whether the session may still be used: it is valid now and the host still is a service host of the domain. */
  isValid(): boolean;
}

export interface SessionsDeps {
  readonly member: SessionMember;
  readonly clock: Clock;
  readonly random: Random;
  /** A token was sealed under a domain key that this member does not have: a newer domain token may be out. */
  readonly onUnknownDomainKey: () => void;
}

/** The member's end of the handshake. Keeps no table: everything about a session stands in its token. */
export class Sessions {
  readonly #deps: SessionsDeps;

  constructor(deps: SessionsDeps) {
    this.#deps = deps;
  }

  /** Answers a host's signed hello. Throws `SessionRefusedError`. */
  negotiate(signedHello: Uint8Array): Uint8Array {
    return this.#refuseAllAlike(() => this.#negotiate(signedHello));
  }

  /** Accepts a stream that is opened with a session token of any member. Throws `SessionRefusedError`. */
  accept(open: Uint8Array): AcceptedStream {
    return this.#refuseAllAlike(() => this.#accept(open));
  }

  #negotiate(signedHello: Uint8Array): Uint8Array {
    const { member, clock, random } = this.#deps;
    const { state, keyring } = installedOf(member);
    const signed = SignedMessage.decode(signedHello);
    const hello = Hello.decode(signed.message);
    const signingKey = hostKeyOf(state, hello.hostId);
    if (
      hello.domain !== state.domain ||
      signingKey === undefined ||
      !isSignatureOf(signingKey, signed.message, signed.signature)
    ) {
      throw new SessionRefusedError();
    }

    // The session key is fresh and random; the agreed key only carries it (AWS KMS Cryptographic Details).
    const sessionKey = createSecretKey(random(32));
    const sessionId = random(16);
    const notBefore = clock.now();
    const expiresAt = notBefore + SESSION_MS;
    const { hostId, delegatedKey } = hello;
    const hostKeyHash = sha256(signingKey);
    const grant = { sessionId, sessionKey, hostId, hostKeyHash, delegatedKey, notBefore, expiresAt };
    const sessionToken = sealSessionToken(grant, { keyring, nonce: random });
    const helloHash = sha256(signedHello);
    const sealed = sealForHost(sessionKey, { hello, helloHash, memberId: member.memberId });
    const answer = Answer.encode({
      helloHash,
      memberId: member.memberId,
      ...sealed,
      sessionId,
      sessionToken,
      expiresAt,
    });
    return member.signMessage(answer);
  }

  #accept(openBytes: Uint8Array): AcceptedStream {
    const { member, random } = this.#deps;
    const { sessionToken } = StreamOpen.decode(openBytes);
    const grant = openSessionToken(sessionToken, installedOf(member).keyring);
    const accept = StreamAccept.encode({ memberId: member.memberId, nonce: random(32) });
    const stream = {
      accept,
      hostId: grant.hostId,
      sessionId: grant.sessionId,
      delegatedKey: ed25519Key(grant.delegatedKey),
      keys: streamKeys(grant.sessionKey, openBytes, accept),
      isValid: this.#validityOf(grant),
    };
    if (!stream.isValid()) throw new SessionRefusedError();
    return stream;
  }

  /** Asked for every frame, so the host is looked up again only when another domain state is installed. */
  #validityOf({ hostId, hostKeyHash, notBefore, expiresAt }: SessionGrant): () => boolean {
    const { member, clock } = this.#deps;
    let checked: DomainState | undefined;
    let isHost = false;
    return () => {
      const state = member.installed?.state;
      if (state !== checked) {
        checked = state;
        const key = state && hostKeyOf(state, hostId);
        isHost = key !== undefined && sha256(key).equals(hostKeyHash);
      }
      const now = clock.now();
      return isHost && now >= notBefore - CLOCK_SKEW_MS && now < expiresAt + CLOCK_SKEW_MS;
    };
  }

  #refuseAllAlike<T>(run: () => T): T {
    try {
      return run();
    } catch (error) {
      if (error instanceof RefusedError && error.refusal === 'unknown-domain-key') this.#deps.onUnknownDomainKey();
      throw new SessionRefusedError();
    }
  }
}

function installedOf(member: SessionMember): Installed {
  if (member.installed === undefined) throw new SessionRefusedError();
  return member.installed;
}

function hostKeyOf(state: DomainState, hostId: string): Uint8Array | undefined {
  return state.operators.find(({ operatorId, role }) => operatorId === hostId && role === 'service-host')?.signingKey;
}

const nothing = Buffer.alloc(0);

interface HelloContext {
  readonly hello: { readonly ephemeralKey: Uint8Array };
  readonly helloHash: Uint8Array;
  readonly memberId: string;
}

/** One-pass: this member's ephemeral key and the session key sealed under what both agree on. */
function sealForHost(sessionKey: KeyObject, { hello, helloHash, memberId }: HelloContext) {
  const ecdh = createECDH('secp384r1');
  const ephemeralKey = ecdh.generateKeys();
  // Throws for a point that is not on the curve.
  const key = transportKey(ecdh.computeSecret(hello.ephemeralKey), helloHash, memberId);
  const plain = sessionKey.export();
  // The key is used for this one message, so a constant IV never meets it twice.
  const sealed = seal({ key, iv: Buffer.alloc(ivLength), associatedData: nothing }, plain);
  plain.fill(0);
  return { ephemeralKey, sealedSessionKey: Buffer.concat(sealed) };
}

function ed25519Key(raw: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.from(raw), format: 'raw-public', asymmetricKeyType: 'ed25519' });
}

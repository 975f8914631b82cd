import {
  createSecretKey,
  diffieHellman,
  encapsulate,
  generateKeyPairSync,
  hash,
  hkdfSync,
  type KeyObject,
} from 'node:crypto';
import { CannotOpenError, ivLength, open, seal, tagLength } from '@keyfleet/shared/encoding/aead';
import { z } from 'zod';
import { FormatError } from '@keyfleet/shared/encoding/bytes';
import { bytes, defineFormat } from '@keyfleet/shared/encoding/canonical';
import { DomainError } from '@keyfleet/shared/domain/domain-error';
import { encapsulationKeyOf } from '@keyfleet/shared/domain/encapsulation';
import { Proposal } from '@keyfleet/shared/domain/proposal';
import { encodedPublicKey, publicKeyOf } from '@keyfleet/shared/domain/signature';
import {
  domainName,
  DomainState,
  encapsulationKey as encapsulationKeyBytes,
  entityId,
  type Member,
  publicKey,
} from '@keyfleet/shared/domain/state';
import {
  type DomainToken,
  TokenBody,
  TokenEnvelope,
  TokenHeader,
  type WrappedKey,
} from '@keyfleet/shared/domain/token';
import type { Random } from '../crypto/random.ts';
import type { Identity } from '../identity.ts';
import { decodeSecrets, type DomainSecrets, encodeSecrets } from './domain-secrets.ts';

const contextV1 = z.object({
  domain: domainName,
  generation: z.int().min(1),
  memberId: entityId,
  ephemeralKey: publicKey,
  agreementKey: publicKey,
});
const WrapContextV1 = defineFormat('keyfleet/domain-key-wrap/1', contextV1);
/**
 * For which member, in which token and by which keys a DKEK is wrapped. Bound into the wrapping key, and associated
 * data.
 */
const WrapContext = defineFormat(
  'keyfleet/domain-key-wrap/2',
  contextV1.extend({ kem: z.object({ encapsulated: bytes(), encapsulationKey: encapsulationKeyBytes }).optional() }),
);

/** Input of the wrapping key's derivation. */
const WrapSecrets = defineFormat(
  'keyfleet/domain-key-wrap-secrets/1',
  z.object({ agreed: bytes(), encapsulated: bytes().optional() }),
);

export interface TokenParts {
  readonly state: DomainState;
  /** Absent in generation 1. */
  readonly previousHash: Uint8Array | undefined;
  readonly proposal: Proposal;
  readonly secrets: DomainSecrets;
}

/** A token for all members of `state`, signed by `identity`. */
export function sealDomainToken(
  { state, previousHash, proposal, secrets }: TokenParts,
  identity: Identity,
  random: Random,
): Buffer {
  const dkek = random(32);
  const plaintext = encodeSecrets(secrets);
  try {
    const header = TokenHeader.encode({
      state: DomainState.encode(state),
      ...(previousHash && { previousHash }),
      proposal: Proposal.encode(proposal),
      signerId: identity.memberId,
      wrappedKeys: state.members.map((member) => wrapFor(member, { state, dkek, random })),
    });
    const iv = random(ivLength);
    const sealed = Buffer.concat(seal({ key: dkek, iv, associatedData: header }, plaintext));
    const body = TokenBody.encode({ header, iv, sealed });
    return TokenEnvelope.encode({ body, signature: identity.sign(body) });
  } finally {
    dkek.fill(0);
    plaintext.fill(0);
  }
}

/**
 * The domain keys of a verified token, for one of its members. Throws `DomainError('cannot-open')` without saying why.
 */
export function openDomainToken(token: DomainToken, identity: Identity): DomainSecrets {
  let dkek: Buffer | undefined;
  let plaintext: Buffer | undefined;
  try {
    dkek = unwrapDkek(token, identity);
    const sealed = splitTag(token.sealed);
    plaintext = open({ key: dkek, iv: token.iv, associatedData: token.header }, sealed);
    const secrets = decodeSecrets(plaintext);
    const { domainKeys } = token.state;
    const complete = secrets.domainKeys.length === domainKeys.length;
    if (!complete || secrets.domainKeys.some(({ id }, i) => id !== domainKeys[i]!.id)) throw new CannotOpenError();
    return secrets;
  } catch (cause) {
    const expected = cause instanceof CannotOpenError || cause instanceof FormatError || cause instanceof DomainError;
    if (!expected) throw cause;
    throw new DomainError('cannot-open', 'the domain keys of the token do not open for this member');
  } finally {
    dkek?.fill(0);
    plaintext?.fill(0);
  }
}

interface Wrapping {
  readonly state: DomainState;
  readonly dkek: Uint8Array;
  readonly random: Random;
}

/**
 * One-pass ECDH (a fresh ephemeral key, the member's static agreement key) combined with ML-KEM: the DKEK stays closed
 * unless both are broken. Tokens are kept forever and shown to anyone.
 */
function wrapFor({ memberId, agreementKey, encapsulationKey }: Member, { state, dkek, random }: Wrapping): WrappedKey {
  const ephemeral = generateKeyPairSync('ec', { namedCurve: 'secp384r1' });
  const ephemeralKey = encodedPublicKey(ephemeral.publicKey);
  const { domain, generation } = state;
  const agreed = diffieHellman({ privateKey: ephemeral.privateKey, publicKey: publicKeyOf(agreementKey) });
  const capsule = encapsulationKey && encapsulate(encapsulationKeyOf(encapsulationKey));
  const context = WrapContext.encode({
    domain,
    generation,
    memberId,
    ephemeralKey,
    agreementKey,
    ...(capsule && { kem: { encapsulated: capsule.ciphertext, encapsulationKey: encapsulationKey! } }),
  });
  const iv = random(ivLength);
  const sealing = {
    key: wrappingKey({ agreed, encapsulated: capsule?.sharedKey }, context),
    iv,
    associatedData: context,
  };
  const sealed = Buffer.concat(seal(sealing, dkek));
  return { memberId, ephemeralKey, iv, sealed, ...(capsule && { encapsulated: capsule.ciphertext }) };
}

function unwrapDkek(token: DomainToken, identity: Identity): Buffer {
  const wrapped = token.wrappedKeys.find((one) => one.memberId === identity.memberId);
  if (wrapped === undefined) throw new CannotOpenError();
  const { state } = token;
  const context = contextOf(wrapped, identity, state);
  const agreed = identity.agree(wrapped.ephemeralKey);
  const key =
    state.version === 1
      ? derivedKey(agreed, context)
      : wrappingKey(
          { agreed, encapsulated: wrapped.encapsulated && identity.decapsulate(wrapped.encapsulated) },
          context,
        );
  return open({ key, iv: wrapped.iv, associatedData: context }, splitTag(wrapped.sealed));
}

function contextOf(wrapped: WrappedKey, identity: Identity, { version, domain, generation }: DomainState): Buffer {
  const { memberId, agreementKey } = identity;
  const { ephemeralKey, encapsulated } = wrapped;
  const common = { domain, generation, memberId, ephemeralKey, agreementKey };
  if (version === 1) return WrapContextV1.encode(common);
  if (encapsulated === undefined) return WrapContext.encode(common);
  if (identity.encapsulationKey === undefined) throw new CannotOpenError();
  return WrapContext.encode({ ...common, kem: { encapsulated, encapsulationKey: identity.encapsulationKey } });
}

/**
 * Derives from both secrets, which it wipes, in an encoding that shows where each ends (SP 800-56C, section 2: Z || T).
 */
function wrappingKey(secrets: { agreed: Buffer; encapsulated?: Buffer | undefined }, context: Uint8Array): KeyObject {
  const { agreed, encapsulated } = secrets;
  const encoded = WrapSecrets.encode({ agreed, ...(encapsulated && { encapsulated }) });
  agreed.fill(0);
  encapsulated?.fill(0);
  // A hash of the context, because Node accepts at most 1024 bytes.
  return derivedKey(encoded, hash('sha384', context, 'buffer'));
}

/** HKDF-SHA-384 (RFC 5869) of a secret, which it wipes. `info` stands for the public keys (SP 800-56C). */
function derivedKey(secret: Buffer, info: Uint8Array): KeyObject {
  const key = Buffer.from(hkdfSync('sha384', secret, '', info, 32));
  try {
    return createSecretKey(key);
  } finally {
    key.fill(0);
    secret.fill(0);
  }
}

function splitTag(sealed: Uint8Array): { ciphertext: Uint8Array; tag: Uint8Array } {
  return { ciphertext: sealed.subarray(0, -tagLength), tag: sealed.subarray(-tagLength) };
}

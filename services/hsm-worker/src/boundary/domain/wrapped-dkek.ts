import { createECDH, createSecretKey, hash, hkdfSync, type KeyObject } from 'node:crypto';
import { CannotOpenError, ivLength, open, seal, splitTag } from '@keyfleet/shared/encoding/aead';
import { bytes, defineFormat } from '@keyfleet/shared/encoding/canonical';
import { encodedPoint, pointOf } from '@keyfleet/shared/domain/signature';
import {
  domainName,
  type DomainState,
  encapsulationKey as encapsulationKeyBytes,
  entityId,
  type Member,
  publicKey,
} from '@keyfleet/shared/domain/state';
import type { DomainToken, WrappedKey } from '@keyfleet/shared/domain/token';
import { z } from 'zod';
import { encapsulateFrom } from '../crypto/ml-kem.ts';
import type { Identity } from '../identity.ts';

const wrappedFor = z.object({ domain: domainName, generation: z.int().min(1), memberId: entityId });
const contextV1 = wrappedFor.extend({ ephemeralKey: publicKey, agreementKey: publicKey });
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

/** For whom the randomness of a wrapped DKEK is derived. */
const WrapRandomness = defineFormat(
  'keyfleet/domain-key-wrap-randomness/1',
  wrappedFor.extend({ agreementKey: publicKey, encapsulationKey: encapsulationKeyBytes.optional() }),
);
const scalarLength = 48;
const coinsLength = 32;

/**
 * The DKEK for one member: one-pass ECDH (an ephemeral key, the member's static agreement key) combined with ML-KEM,
 * so that it stays closed unless both are broken. Tokens are kept forever and shown to anyone.
 *
 * Everything that is usually random here is derived from the DKEK (as in Fujisaki and Okamoto, "Secure Integration of
 * Asymmetric and Symmetric Encryption Schemes"), which is 256 random bits. So a member that has opened its own wrapped
 * DKEK can make those of all others again, and see that they open too.
 */
export function wrapDkek(
  dkek: Uint8Array,
  member: Member,
  { domain, generation }: Pick<DomainState, 'domain' | 'generation'>,
): WrappedKey {
  const { memberId, agreementKey, encapsulationKey } = member;
  const { scalar, iv, coins } = randomnessFrom(dkek, member, { domain, generation });
  try {
    const ephemeral = createECDH('secp384r1');
    ephemeral.setPrivateKey(scalar);
    const ephemeralKey = encodedPoint(ephemeral.getPublicKey());
    const capsule = encapsulationKey && encapsulateFrom(coins, encapsulationKey);
    const kem = capsule && { encapsulated: capsule.ciphertext, encapsulationKey: encapsulationKey! };
    const common = { domain, generation, memberId, ephemeralKey, agreementKey };
    const associatedData = WrapContext.encode({ ...common, ...(kem && { kem }) });
    const agreed = ephemeral.computeSecret(pointOf(agreementKey));
    const key = wrappingKey({ agreed, encapsulated: capsule?.sharedSecret }, associatedData);
    const sealed = Buffer.concat(seal({ key, iv, associatedData }, dkek));
    return { memberId, ephemeralKey, iv, sealed, ...(capsule && { encapsulated: capsule.ciphertext }) };
  } finally {
    scalar.fill(0);
    coins.fill(0);
  }
}

/** The scalar is one of P-384 but for a chance of 2^-194, in which `setPrivateKey` throws (FIPS 186-5, A.2.2). */
function randomnessFrom(
  dkek: Uint8Array,
  { memberId, agreementKey, encapsulationKey }: Member,
  token: Pick<DomainState, 'domain' | 'generation'>,
): { scalar: Buffer; iv: Buffer; coins: Buffer } {
  const context = WrapRandomness.encode({
    ...token,
    memberId,
    agreementKey,
    ...(encapsulationKey && { encapsulationKey }),
  });
  const length = scalarLength + ivLength + coinsLength;
  const all = Buffer.from(hkdfSync('sha384', dkek, '', hash('sha384', context, 'buffer'), length));
  return {
    scalar: all.subarray(0, scalarLength),
    iv: all.subarray(scalarLength, -coinsLength),
    coins: all.subarray(-coinsLength),
  };
}

/** The caller wipes it. Throws `CannotOpenError` or `DomainError('malformed')`. */
export function unwrapDkek({ wrappedKeys, state }: DomainToken, identity: Identity): Buffer {
  const wrapped = wrappedKeys.find((one) => one.memberId === identity.memberId);
  if (wrapped === undefined) throw new CannotOpenError();
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
function wrappingKey(
  { agreed, encapsulated }: { agreed: Buffer; encapsulated?: Buffer | undefined },
  context: Uint8Array,
): KeyObject {
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

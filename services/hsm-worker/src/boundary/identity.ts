import { createPrivateKey, createPublicKey, diffieHellman, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { z } from 'zod';
import { bytes, defineFormat } from '@keyfleet/shared/encoding/canonical';
import type { VerifiedDomain } from '@keyfleet/shared/domain/chain';
import { DomainError } from '@keyfleet/shared/domain/domain-error';
import { decodeOrRefuse, encodedPublicKey, publicKeyOf, signBytes } from '@keyfleet/shared/domain/signature';
import { DomainState, entityId, publicKey, sha256Hash } from '@keyfleet/shared/domain/state';
import { CannotOpenError } from './crypto/aead.ts';
import type { SealKey } from './seal-key.ts';

/** Clear part of a sealed identity, and its associated data: the newest state installed cannot be changed either. */
const IdentityHeader = defineFormat(
  'keyfleet/sealed-identity-header/1',
  z.object({
    memberId: entityId,
    signingKey: publicKey,
    agreementKey: publicKey,
    /** The newest token ever installed; absent before the first. */
    installed: z.object({ state: bytes(), hash: sha256Hash }).optional(),
  }),
);

/** The private keys, PKCS#8 DER. */
const IdentitySecrets = defineFormat(
  'keyfleet/sealed-identity-secrets/1',
  z.object({ signingKey: bytes(), agreementKey: bytes() }),
);

const SealedIdentity = defineFormat('keyfleet/sealed-identity/1', z.object({ header: bytes(), sealed: bytes() }));

/** Who an HSM is: a signing and an agreement key on P-384, made inside it, which leave it only sealed under its seal key. */
export class Identity {
  readonly memberId: string;
  /** DER SubjectPublicKeyInfo. */
  readonly signingKey: Buffer;
  readonly agreementKey: Buffer;
  readonly #privateSigningKey: KeyObject;
  readonly #privateAgreementKey: KeyObject;

  constructor(memberId: string, keys: { signing: KeyObject; agreement: KeyObject }) {
    this.memberId = memberId;
    this.#privateSigningKey = keys.signing;
    this.#privateAgreementKey = keys.agreement;
    this.signingKey = encodedPublicKey(createPublicKey(keys.signing));
    this.agreementKey = encodedPublicKey(createPublicKey(keys.agreement));
  }

  /** `message` begins with the label of its format. */
  sign(message: Uint8Array): Buffer {
    return signBytes(this.#privateSigningKey, message);
  }

  /** The shared secret of one-pass ECDH (SP 800-56A, C(1e, 1s)); the caller wipes it. Throws for a key that is not a point of P-384. */
  agree(ephemeralKey: Uint8Array): Buffer {
    return diffieHellman({ privateKey: this.#privateAgreementKey, publicKey: publicKeyOf(ephemeralKey) });
  }

  /** The bytes to keep on the member's own volume. */
  seal(sealKey: SealKey, installed: VerifiedDomain | undefined): Buffer {
    const { memberId, signingKey, agreementKey } = this;
    const header = IdentityHeader.encode({
      memberId,
      signingKey,
      agreementKey,
      ...(installed && { installed: { state: DomainState.encode(installed.state), hash: installed.hash } }),
    });
    const secrets = {
      signingKey: exported(this.#privateSigningKey),
      agreementKey: exported(this.#privateAgreementKey),
    };
    const plaintext = IdentitySecrets.encode(secrets);
    try {
      return SealedIdentity.encode({ header, sealed: sealKey.seal(plaintext, header) });
    } finally {
      for (const secret of [plaintext, secrets.signingKey, secrets.agreementKey]) secret.fill(0);
    }
  }
}

export function newIdentity(memberId: string): Identity {
  const p384 = { namedCurve: 'secp384r1' };
  return new Identity(memberId, {
    signing: generateKeyPairSync('ec', p384).privateKey,
    agreement: generateKeyPairSync('ec', p384).privateKey,
  });
}

/** Throws `DomainError('cannot-open')` for another seal key or changed bytes. */
export function openIdentity(
  sealedIdentity: Uint8Array,
  sealKey: SealKey,
): { identity: Identity; installed: VerifiedDomain | undefined } {
  const { header, sealed } = decodeOrRefuse(SealedIdentity, sealedIdentity);
  const secrets = openedSecrets(sealed, header, sealKey);
  try {
    const { memberId, installed } = IdentityHeader.decode(header);
    const { signingKey, agreementKey } = IdentitySecrets.decode(secrets);
    const identity = new Identity(memberId, { signing: imported(signingKey), agreement: imported(agreementKey) });
    return {
      identity,
      installed: installed && { state: DomainState.decode(installed.state), hash: Buffer.from(installed.hash) },
    };
  } finally {
    secrets.fill(0);
  }
}

function openedSecrets(sealed: Uint8Array, header: Uint8Array, sealKey: SealKey): Buffer {
  try {
    return sealKey.open(sealed, header);
  } catch (cause) {
    if (!(cause instanceof CannotOpenError)) throw cause;
    throw new DomainError('cannot-open', 'the identity does not open under this seal key', { cause });
  }
}

function exported(key: KeyObject): Buffer {
  return key.export({ format: 'der', type: 'pkcs8' });
}

function imported(pkcs8: Uint8Array): KeyObject {
  return createPrivateKey({
    key: Buffer.from(pkcs8.buffer, pkcs8.byteOffset, pkcs8.length),
    format: 'der',
    type: 'pkcs8',
  });
}

import {
  createPrivateKey,
  createPublicKey,
  decapsulate,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
import { CannotOpenError } from '@keyfleet/shared/encoding/aead';
import { z } from 'zod';
import { bytes, defineFormat, isLabelled } from '@keyfleet/shared/encoding/canonical';
import { DomainError } from '@keyfleet/shared/domain/domain-error';
import { kem } from '@keyfleet/shared/domain/encapsulation';
import {
  decodeOrRefuse,
  encodedPublicKey,
  publicKeyOf,
  signBytes,
  signBytesOffLoop,
} from '@keyfleet/shared/domain/signature';
import {
  DomainState,
  encapsulationKey,
  entityId,
  publicKey,
  sha256Hash,
  type VerifiedDomain,
} from '@keyfleet/shared/domain/state';
import { type SealKey, WrappedSealKey } from './seal-key.ts';

/** The newest token ever installed; absent before the first. */
const installedFormat = z.object({ state: bytes(), hash: sha256Hash }).optional();

const HeaderV1 = defineFormat(
  'keyfleet/sealed-identity-header/1',
  z.object({ memberId: entityId, signingKey: publicKey, agreementKey: publicKey, installed: installedFormat }),
);
/**
 * The clear part of a sealed identity, and its associated data: what the member must remember cannot be altered either.
 */
const IdentityHeader = defineFormat(
  'keyfleet/sealed-identity-header/2',
  z.object({
    memberId: entityId,
    signingKey: publicKey,
    agreementKey: publicKey,
    /** Absent in an identity made by version 1. */
    encapsulationKey: encapsulationKey.optional(),
    installed: installedFormat,
    /** The whole token that this member made to follow the installed one. */
    prepared: bytes().optional(),
  }),
);

const SecretsV1 = defineFormat(
  'keyfleet/sealed-identity-secrets/1',
  z.object({ signingKey: bytes(), agreementKey: bytes() }),
);
/** The private keys, PKCS#8 DER. */
const IdentitySecrets = defineFormat(
  'keyfleet/sealed-identity-secrets/2',
  z.object({ signingKey: bytes(), agreementKey: bytes(), encapsulationKey: bytes().optional() }),
);

const SealedIdentity = defineFormat('keyfleet/sealed-identity/1', z.object({ header: bytes(), sealed: bytes() }));
/** With the seal key, as a PKCS#11 token keeps it. */
const TokenSealedIdentity = defineFormat(
  'keyfleet/token-sealed-identity/1',
  z.object({ sealKey: WrappedSealKey, header: bytes(), sealed: bytes() }),
);

/** What a member must not forget. */
export interface Memory {
  readonly installed?: VerifiedDomain | undefined;
  readonly prepared?: Uint8Array | undefined;
}

interface PrivateKeys {
  readonly signing: KeyObject;
  readonly agreement: KeyObject;
  /** Absent in an identity made by version 1. */
  readonly encapsulation?: KeyObject | undefined;
}

/**
 * The identity of an HSM: a signing and an agreement key on P-384 and an ML-KEM-1024 key. They are made inside the HSM
 * and leave it only sealed under its seal key.
 */
export class Identity {
  readonly memberId: string;
  /** DER SubjectPublicKeyInfo. */
  readonly signingKey: Buffer;
  readonly agreementKey: Buffer;
  /** Raw. */
  readonly encapsulationKey: Buffer | undefined;
  readonly #keys: PrivateKeys;

  constructor(memberId: string, keys: PrivateKeys) {
    this.memberId = memberId;
    this.#keys = keys;
    this.signingKey = encodedPublicKey(createPublicKey(keys.signing));
    this.agreementKey = encodedPublicKey(createPublicKey(keys.agreement));
    this.encapsulationKey = keys.encapsulation && createPublicKey(keys.encapsulation).export({ format: 'raw-public' });
  }

  /** `message` begins with the label of its format. */
  sign(message: Uint8Array): Buffer {
    return signBytes(this.#keys.signing, message);
  }

  signOffLoop(message: Uint8Array): Promise<Buffer> {
    return signBytesOffLoop(this.#keys.signing, message);
  }

  /**
   * The shared secret of one-pass ECDH (SP 800-56A, C(1e, 1s)); the caller wipes it. Throws if the key is not a point
   * of P-384.
   */
  agree(ephemeralKey: Uint8Array): Buffer {
    return diffieHellman({ privateKey: this.#keys.agreement, publicKey: publicKeyOf(ephemeralKey) });
  }

  /**
   * The shared secret of ML-KEM (FIPS 203), which the caller wipes. Throws `CannotOpenError` if there is no such key.
   */
  decapsulate(encapsulated: Uint8Array): Buffer {
    if (this.#keys.encapsulation === undefined) throw new CannotOpenError();
    return decapsulate(this.#keys.encapsulation, encapsulated);
  }

  /** The bytes to store on the member's own volume. */
  seal(sealKey: SealKey, { installed, prepared }: Memory = {}): Buffer {
    const { memberId, signingKey, agreementKey } = this;
    const header = IdentityHeader.encode({
      memberId,
      signingKey,
      agreementKey,
      ...(this.encapsulationKey && { encapsulationKey: this.encapsulationKey }),
      ...(installed && { installed: { state: DomainState.encode(installed.state), hash: installed.hash } }),
      ...(prepared && { prepared }),
    });
    const { signing, agreement, encapsulation } = this.#keys;
    const secrets = {
      signingKey: exported(signing),
      agreementKey: exported(agreement),
      ...(encapsulation && { encapsulationKey: exported(encapsulation) }),
    };
    const plaintext = IdentitySecrets.encode(secrets);
    try {
      const sealed = sealKey.seal(plaintext, header);
      const { wrapped } = sealKey;
      return wrapped === undefined
        ? SealedIdentity.encode({ header, sealed })
        : TokenSealedIdentity.encode({ sealKey: wrapped, header, sealed });
    } finally {
      for (const secret of [plaintext, ...Object.values(secrets)]) secret.fill(0);
    }
  }
}

export function newIdentity(memberId: string): Identity {
  const p384 = { namedCurve: 'secp384r1' };
  return new Identity(memberId, {
    signing: generateKeyPairSync('ec', p384).privateKey,
    agreement: generateKeyPairSync('ec', p384).privateKey,
    encapsulation: generateKeyPairSync(kem).privateKey,
  });
}

/**
 * How a PKCS#11 token keeps the seal key; undefined for a seal key that comes from elsewhere. Throws
 * `DomainError('malformed')`.
 */
export function wrappedSealKeyOf(sealedIdentity: Uint8Array): WrappedSealKey | undefined {
  return partsOf(sealedIdentity).sealKey;
}

interface SealedParts {
  readonly sealKey?: WrappedSealKey;
  readonly header: Uint8Array;
  readonly sealed: Uint8Array;
}

function partsOf(sealedIdentity: Uint8Array): SealedParts {
  return isLabelled(TokenSealedIdentity, sealedIdentity)
    ? decodeOrRefuse(TokenSealedIdentity, sealedIdentity)
    : decodeOrRefuse(SealedIdentity, sealedIdentity);
}

/** The same identity under another seal key. Throws as `openIdentity`. */
export function resealIdentity(sealedIdentity: Uint8Array, from: SealKey, to: SealKey): Buffer {
  const { identity, memory } = openIdentity(sealedIdentity, from);
  return identity.seal(to, memory);
}

/** Throws `DomainError('cannot-open')` for another seal key or altered bytes. */
export function openIdentity(sealedIdentity: Uint8Array, sealKey: SealKey): { identity: Identity; memory: Memory } {
  const { header, sealed } = partsOf(sealedIdentity);
  const secrets = openedSecrets(sealed, header, sealKey);
  try {
    const isVersion1 = isLabelled(HeaderV1, header);
    const { memberId, installed, prepared } = (isVersion1 ? HeaderV1 : IdentityHeader).decode(header) as ReturnType<
      typeof IdentityHeader.decode
    >;
    const keys = (isVersion1 ? SecretsV1 : IdentitySecrets).decode(secrets) as ReturnType<
      typeof IdentitySecrets.decode
    >;
    const identity = new Identity(memberId, {
      signing: imported(keys.signingKey),
      agreement: imported(keys.agreementKey),
      encapsulation: keys.encapsulationKey && imported(keys.encapsulationKey),
    });
    const memory = {
      installed: installed && { state: DomainState.decode(installed.state), hash: Buffer.from(installed.hash) },
      prepared: prepared && Buffer.from(prepared),
    };
    return { identity, memory };
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

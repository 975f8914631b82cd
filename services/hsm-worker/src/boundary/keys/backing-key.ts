import { createPrivateKey, createPublicKey, createSecretKey, type KeyObject } from 'node:crypto';
import { blobPrefixOf } from '@keyfleet/shared/hsm/ciphertext-blob';
import { type KeySpec, keySpecs, type KeyUsage } from '@keyfleet/shared/key-specs';
import type { BackingKeyHeader } from '../tokens/exported-key-token.ts';

/** A backing key in use: the secret is in OpenSSL's memory only. */
export class BackingKey {
  readonly keyId: string;
  /** Undefined when its token does not name it yet. */
  readonly account: string | undefined;
  readonly materialId: Buffer;
  readonly keySpec: KeySpec;
  readonly keyUsage: KeyUsage;
  readonly origin: BackingKeyHeader['origin'];
  /** Symmetric and HMAC keys: a secret key; all others: the private key. */
  readonly key: KeyObject;
  #publicKey: KeyObject | undefined;
  #blobPrefix: Buffer | undefined;

  /** `material` is what the token held (docs/formats.md); the caller zeroes it. */
  constructor(header: BackingKeyHeader, material: Uint8Array) {
    this.keyId = header.keyId;
    this.account = header.account;
    this.materialId = Buffer.from(header.materialId);
    this.keySpec = header.keySpec;
    this.keyUsage = header.keyUsage;
    this.origin = header.origin;
    this.key = isSecretKey(header.keySpec)
      ? createSecretKey(material)
      : createPrivateKey({
          key: Buffer.from(material.buffer, material.byteOffset, material.length),
          format: 'der',
          type: 'pkcs8',
        });
  }

  get publicKey(): KeyObject {
    return (this.#publicKey ??= createPublicKey(this.key));
  }

  /** What every ciphertext blob under this key begins with. */
  get blobPrefix(): Buffer {
    return (this.#blobPrefix ??= blobPrefixOf(this));
  }
}

/** True for key specs whose material is bytes rather than a key pair. */
export function isSecretKey(keySpec: KeySpec): boolean {
  const { kind } = keySpecs[keySpec];
  return kind === 'symmetric' || kind === 'hmac';
}
